"""scipy.special's names on arrays and tensors. As `adjoint.scipy.special`."""

from ...primitives.scipy_special import polygamma as polygamma
from ...scipy import special as _special
from ..mirror import mirror

__getattr__, __dir__ = mirror(lambda: _special)
