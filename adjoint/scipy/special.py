"""scipy.special's names. See adjoint.scipy; the rules are in adjoint.primitives.scipy_special."""

import numpy as np
import scipy.special as _special

from ..core.tensor import FUNCTIONS, UFUNCS
from ..numpy.names import stand_before
from ..primitives import norms as _norms
from ..primitives import scipy_special  # noqa: F401  (fills the tables)
from ..primitives.custom import stop_gradient
from ..primitives.kinds import as_array
from ..primitives.norms import log_softmax as log_softmax
from ..primitives.norms import softmax as softmax
from ..primitives.special import softplus as softplus

for _name in dir(_special):
    _f = getattr(_special, _name)
    if not _name.startswith("_") and callable(_f) and not isinstance(_f, type):
        _ours = FUNCTIONS.get(_f) or UFUNCS.get(_f)
        if _ours is not None:
            globals()[_name] = _ours


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """log(sum(b * exp(a))) over axes, without overflow; its derivative is the softmax. As `scipy.special.logsumexp`.

    >>> import numpy as np, adjoint as ad
    >>> ad.grad(logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    if not return_sign:
        return _norms.logsumexp(a, axis, b, keepdims)
    a = as_array(a)
    b = 1.0 if b is None else as_array(b)
    a = np.where(np.equal(b, 0), -np.inf, a)  # a term that counts 0 times
    top = stop_gradient(np.max(a, axis=axis, keepdims=True))
    top = np.where(np.isfinite(top), top, 0)
    total = np.sum(b * np.exp(a - top), axis=axis, keepdims=True)
    nothing = np.equal(total, 0)
    sign = np.sign(total)
    y = np.where(nothing, -np.inf, np.log(np.abs(np.where(nothing, 1, total))) + top)
    return (y, sign) if keepdims else (np.squeeze(y, axis=axis)[()], np.squeeze(sign, axis=axis)[()])


def multigammaln(a, d):
    """The logarithm of the multivariate gamma function of dimension d. As `scipy.special.multigammaln`."""
    if np.ndim(d) != 0 or int(d) != d or d < 1:
        raise ValueError("d should be a positive integer (dimension)")
    d = int(d)
    if np.any(np.less_equal(a, 0.5 * (d - 1))):
        raise ValueError(f"condition a ({a:f}) > 0.5 * (d-1) ({0.5 * (d - 1):f}) not met")
    y = d * (d - 1) * 0.25 * float(np.log(np.pi))
    for j in range(d):
        y = y + _special.gammaln(a - 0.5 * j)
    return y


stand_before(globals(), _special)


def __getattr__(name):
    return getattr(_special, name)


def __dir__():
    return sorted({*globals(), *dir(_special)})
