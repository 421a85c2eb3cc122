"""What has no derivative: comparisons, logic, rounding, signs, tests. Derivatives are zero, and nothing is recorded."""

import functools
import operator

import numpy as np

from ..core.errors import ConcreteError, DTypeError
from ..core.tensor import FUNCTIONS, UFUNC_METHODS, Tensor, concrete, is_tensor, untracked
from .kinds import implements, no_out, nondiff

less = nondiff("less", operator.lt, np.less)
less_equal = nondiff("less_equal", operator.le, np.less_equal)
greater = nondiff("greater", operator.gt, np.greater)
greater_equal = nondiff("greater_equal", operator.ge, np.greater_equal)
equal = nondiff("equal", operator.eq, np.equal)
not_equal = nondiff("not_equal", operator.ne, np.not_equal)

logical_and = nondiff("logical_and", np.logical_and)
logical_or = nondiff("logical_or", np.logical_or)
logical_xor = nondiff("logical_xor", np.logical_xor)
logical_not = nondiff("logical_not", np.logical_not)
bitwise_and = nondiff("bitwise_and", operator.and_, np.bitwise_and, integers=True)
bitwise_or = nondiff("bitwise_or", operator.or_, np.bitwise_or, integers=True)
bitwise_xor = nondiff("bitwise_xor", operator.xor, np.bitwise_xor, integers=True)
invert = nondiff("invert", lambda x: ~x if type(x) is int else np.invert(x), np.invert, integers=True)
left_shift = nondiff("left_shift", operator.lshift, np.left_shift, integers=True)
right_shift = nondiff("right_shift", operator.rshift, np.right_shift, integers=True)

isnan = nondiff("isnan", np.isnan)
isinf = nondiff("isinf", np.isinf)
isfinite = nondiff("isfinite", np.isfinite)
signbit = nondiff("signbit", np.signbit)
sign = nondiff("sign", np.sign)
floor = nondiff("floor", np.floor)
ceil = nondiff("ceil", np.ceil)
rint = nondiff("rint", np.rint)
trunc = nondiff("trunc", np.trunc)
floor_divide = nondiff("floor_divide", operator.floordiv, np.floor_divide)
spacing = nondiff("spacing", np.spacing)
gcd = nondiff("gcd", np.gcd, integers=True)
lcm = nondiff("lcm", np.lcm, integers=True)
_round = nondiff("round", np.round, np.round)


@implements(np.round, np.around)
def round(a, decimals=0, out=None):
    """a rounded to the given number of decimals; the derivative is 0. As `numpy.round`."""
    no_out("round", out)
    return _round.op(a, decimals=decimals)


UFUNC_METHODS["round"] = round


def _by_value(f, otherwise=None):
    """NumPy's function on the values behind the tensors: it answers a question, and has no derivative to lose.

    otherwise: what is called with the tensors where a value is not known (captured, or one of a batch).
    """

    def answer(*args, **kwargs):
        try:
            y = f(*_values(args), **_values(kwargs))
        except ConcreteError:
            if otherwise is None:
                raise
            return otherwise(*args, **kwargs)
        return untracked(y) if isinstance(y, np.ndarray) else y

    functools.update_wrapper(answer, f)
    answer.__doc__ = f"As `numpy.{f.__name__}`, on the values: no derivative flows through."
    return implements(f)(answer)


def _values(x):
    if type(x) in (tuple, list):
        return type(x)(map(_values, x))
    if type(x) is dict:
        return {k: _values(v) for k, v in x.items()}
    return concrete(x, "a comparison") if is_tensor(x) else x


for _f in (
    np.allclose, np.array_equal, np.array_equiv,
    np.array_repr, np.array_str, np.array2string, np.shares_memory, np.may_share_memory,
):  # fmt: skip
    if _f not in FUNCTIONS:
        _by_value(_f)


def _or_another(f, answer):
    """A comparison for equality, whose answer is known where the other is no number: x == "a" fails, entry by entry."""

    def method(a, b):
        kind = type(b)
        if kind is not str and b is not None:
            try:
                return f(a, b)
            except DTypeError:
                if isinstance(b, (list, tuple)) or hasattr(kind, "__array__"):
                    raise
        return np.full(a.shape, answer)[()]

    return method


def _install():
    for name, f in {
        "lt": less, "le": less_equal, "gt": greater, "ge": greater_equal, "eq": _or_another(equal, False),
        "ne": _or_another(not_equal, True),
    }.items():  # fmt: skip
        setattr(Tensor, f"__{name}__", f)
    for name, f in {
        "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor, "lshift": left_shift, "rshift": right_shift, "floordiv": floor_divide,
    }.items():  # fmt: skip
        setattr(Tensor, f"__{name}__", f)
        setattr(Tensor, f"__r{name}__", lambda b, a, f=f: f(a, b))
    Tensor.__invert__ = invert
    Tensor.__divmod__ = lambda a, b: (floor_divide(a, b), a % b)


_install()
