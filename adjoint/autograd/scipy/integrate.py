"""scipy.integrate's names on arrays and tensors. As `adjoint.scipy.integrate`."""

from ...scipy import integrate as _integrate
from ..mirror import mirror

__getattr__, __dir__ = mirror(lambda: _integrate)
