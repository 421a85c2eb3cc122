"""autograd's derivative operators. Each takes a function and `argnum`, an index or a tuple of them.

Complex numbers: autograd's vjp is the plain transpose of the derivative, `adjoint.vjp`'s the conjugate transpose. So
cotangents are conjugated on the way in and on the way out; real ones stay as they are.
"""

import functools

import numpy as np

from ..core import tree
from ..core.errors import ConcreteError, DTypeError, LeakError, MissingRuleError
from ..core.types import typeof
from ..transforms import derivatives
from ..transforms.calling import call
from .vspaces import vspace as vspace


def nary(operator):
    """From an operator on functions of one argument to one on functions of many: operator(f, x) -> of(f, argnum)(*args)."""

    @functools.wraps(operator)
    def of(fun, argnum=0, *settings, **named_settings):
        @functools.wraps(fun, assigned=("__name__", "__doc__", "__module__"), updated=())
        def at(*args, **kwargs):
            many = not hasattr(argnum, "__index__")
            picked = [k % len(args) for k in argnum] if many else [argnum]

            def unary(x):
                row = list(args)
                for k, value in zip(picked, x if many else (x,), strict=True):
                    row[k] = value
                return call(fun, row, kwargs)

            unary.__name__ = getattr(fun, "__name__", "f")
            x = tuple(args[k] for k in picked) if many else args[argnum]
            return operator(unary, x, *settings, **named_settings)

        at.__name__ = f"{operator.__name__}_of_{getattr(fun, '__name__', 'f')}_wrt_argnum_{argnum}"
        return at

    return of


unary_to_nary = nary  # autograd's name


def floating(x):
    """x with its integers as floats: autograd differentiates with respect to them."""

    def convert(leaf):
        kind = typeof(leaf).dtype.kind
        return leaf if kind not in "iub" else float(leaf) if isinstance(leaf, int) else np.asarray(leaf, float)[()]

    return tree.map(convert, x)


def conjugated(x):
    """The conjugate of the complex leaves of a container."""
    return tree.map(lambda leaf: np.conj(leaf) if typeof(leaf).dtype.kind == "c" else leaf, x)


def filled(x, value):
    """A container like x with this value everywhere."""

    def fill(leaf):
        t = typeof(leaf)
        return np.full(t.shape, value, t.dtype if t.dtype.kind in "fc" else float)[()]

    return tree.map(fill, x)


def pullback(f, x):
    """(pull, y): autograd's vjp of a function of one argument, and its value."""
    if not tree.flatten(x)[0]:  # an empty container
        return (lambda g: x), f(x)
    y, pull = derivatives.vjp(f, floating(x))
    return (lambda g: conjugated(pull(conjugated(g))[0])), y


def _scalar_seed(name, y):
    leaves = tree.flatten(y)[0]
    if len(leaves) != 1 or typeof(leaves[0]).size != 1 or typeof(leaves[0]).dtype.kind == "c":
        what = ", ".join(str(typeof(leaf)) for leaf in leaves) or repr(y)
        raise DTypeError(
            f"{name} needs a real result of one number, and the function returned {what}; "
            "there are jacobian, elementwise_grad and holomorphic_grad"
        )
    return filled(y, 1.0)


@nary
def make_vjp(fun, x):
    """make_vjp(f)(x) -> (vjp, f(x)); vjp(g) is g times the Jacobian, without conjugation."""
    return pullback(fun, x)


@nary
def make_jvp(fun, x):
    """make_jvp(f)(x) -> jvp; jvp(t) is (f(x), the derivative of f along t)."""
    x = floating(x)
    return lambda t: derivatives.jvp(fun, (x,), (t,))


def _make_jvp(fun, x):
    return make_jvp(fun)(x)


_make_vjp = pullback  # with these two names programs reach autograd.core's


@nary
def make_jvp_reversemode(fun, x):
    """As `make_jvp`, without the value: make_jvp_reversemode(f)(x)(t) is the derivative along t."""
    x = floating(x)
    return lambda t: derivatives.jvp(fun, (x,), (t,))[1]


@nary
def grad(fun, x):
    """The gradient of a function with a result of size 1, in the container and shape of the argument."""
    pull, y = pullback(fun, x)
    return pull(_scalar_seed("grad", y))


@nary
def value_and_grad(fun, x):
    """(value, gradient) of a function with a result of size 1."""
    pull, y = pullback(fun, x)
    return y, pull(_scalar_seed("value_and_grad", y))


@nary
def grad_and_aux(fun, x):
    """(gradient of the first result, second result) of a function that returns a pair."""
    y, pull, aux = derivatives.vjp(fun, floating(x), has_aux=True)
    return conjugated(pull(_scalar_seed("grad_and_aux", y))[0]), aux


@nary
def elementwise_grad(fun, x):
    """The gradient of the sum of the result: for elementwise functions the derivative of each entry."""
    pull, y = pullback(fun, x)
    if any(typeof(leaf).dtype.kind == "c" for leaf in tree.flatten(y)[0]):
        raise DTypeError("elementwise_grad needs a real result; take .real of it, or use holomorphic_grad")
    return pull(filled(y, 1.0))


@nary
def deriv(fun, x):
    """The derivative by forward mode, along ones."""
    x = floating(x)
    return derivatives.jvp(fun, (x,), (filled(x, 1.0),))[1]


@nary
def holomorphic_grad(fun, x):
    """The complex derivative of a holomorphic function."""
    return grad(lambda z: np.real(fun(z)))(x)


@nary
def jacobian(fun, x):
    """All partial derivatives: the shape of the result followed by the shape of the argument."""
    x = floating(x)
    kinds = set()

    def watched(x):
        y = fun(x)
        kinds.update(typeof(leaf).dtype.kind for leaf in tree.flatten(y)[0])
        return y

    try:
        rows = derivatives.jacobian(watched, mode="rev")(x)
        return rows if "c" in kinds else conjugated(rows)
    except (MissingRuleError, ConcreteError, LeakError, DTypeError):
        # a rule of the user's that does not batch, or a function that is not holomorphic: row by row
        pull, y = pullback(fun, x)
        t = typeof(y)
        rows = [pull(np.asarray(e.reshape(t.shape))[()]) for e in np.eye(t.size, dtype=t.dtype)]
        return np.reshape(np.stack(rows), t.shape + typeof(x).shape)


@nary
def hessian(fun, x):
    """The matrix of second derivatives: jacobian(jacobian(f))."""
    return jacobian(jacobian(fun))(x)


@nary
def make_hvp(fun, x):
    """make_hvp(f)(x) -> (hvp, gradient); hvp(v) is the Hessian times v."""
    return pullback(grad(fun), x)


def hessian_tensor_product(fun, argnum=0):
    """A function of (*args, v): the Hessian times v."""
    gradient = grad(fun, argnum)

    def along(*args, **kwargs):
        *args, v = args
        return np.tensordot(gradient(*args, **kwargs), v, np.ndim(v))

    return grad(along, argnum)


hessian_vector_product = hessian_tensor_product


def tensor_jacobian_product(fun, argnum=0):
    """A function of (*args, v): v times the Jacobian."""

    def along(*args, **kwargs):
        *args, v = args
        return np.tensordot(v, fun(*args, **kwargs), np.ndim(v))

    return jacobian(along, argnum)


vector_jacobian_product = tensor_jacobian_product


def _half_square(y):
    return 0.5 * np.sum(y * y, axis=-1)


def make_ggnvp(f, g=_half_square, f_argnum=0):
    """The generalized Gauss-Newton product: make_ggnvp(f, g)(x)(v) is J' H J v, J of f at x and H the Hessian of g."""

    @nary
    def at(fun, x):
        pull, y = pullback(fun, x)
        curve, _ = pullback(grad(g), y)
        push = make_jvp_reversemode(fun)(x)
        return lambda v: pull(curve(push(v)))

    return at(f, f_argnum)


def grad_named(fun, argname):
    """The gradient with respect to the parameter of that name."""
    import inspect

    return grad(fun, list(inspect.signature(fun).parameters).index(argname))


def multigrad_dict(fun):
    """The gradients with respect to all parameters, as a dict from names to gradients; defaults included."""
    import inspect

    signature = inspect.signature(fun)

    def gradients(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()

        def of_named(named):
            call = inspect.BoundArguments(signature, type(bound.arguments)(named))
            return fun(*call.args, **call.kwargs)

        return grad(of_named)(dict(bound.arguments))

    return gradients
