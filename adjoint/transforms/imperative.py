"""Gradients attached to variables: x.attach_grad(); y = f(x); y.backward(); x.grad.

One tape, at level 0, records whatever is computed from attached tensors. The gradient belongs to the tensor: nodes point
at it weakly, so that a recorded gradient (create_graph=True) makes no reference cycle.
"""

import functools
import weakref

import numpy as np

from ..core.errors import DTypeError, ShapeError, UntrackedError, where
from ..core.op import shape as shape_of
from ..core.tensor import Tensor, is_tensor, make, set_class, untracked
from ..core.types import typeof
from ..primitives.custom import stop_gradient
from ..primitives.kinds import cast
from ..traces.reverse import BASE, Tape, free, paused, released, slow_down, walk
from .calling import check_input, pull_back


def tensor(data, dtype=None, *, requires_grad=False):
    """A tensor holding a copy of the data: array, number, nested list. Floats give float64, as in NumPy.

    dtype: as in NumPy. requires_grad=True is `requires_grad_()`, as in PyTorch: gradients add up from None.

    >>> import adjoint as ad
    >>> x = ad.tensor([1.0, 2.0]).attach_grad()
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor(shape=[2], dtype=Float64, value= [ 2.00000000e+00,  4.00000000e+00])
    """
    x = Tensor(data, dtype)
    return requires_grad_(x) if requires_grad else x


class _Leaf:
    """What the node of an attached tensor knows of it: the tensor, weakly, and what backward does with its gradient."""

    __slots__ = ("mode", "tensor")

    def __init__(self, tensor, mode):
        self.tensor = weakref.ref(tensor)
        self.mode = mode


def attach_grad(x, mode="write"):
    """Attach a gradient buffer of zeros to x, and record from now on what is computed from it. Returns x.

    mode: "write": each backward that reaches x overwrites `x.grad` in place; "add": it is added to. The buffer is
    allocated here, once; `x.grad` is that buffer: copy it to keep a value. Raises DTypeError unless x holds floating-point
    numbers, UntrackedError for the result of a recorded computation.
    """
    if mode not in ("write", "add"):
        raise ValueError(f"the mode of attach_grad is 'write' or 'add', not {mode!r}")
    _attach(x, mode, "attach_grad")
    kind = typeof(x)
    x.gradient = make(np.zeros(kind.shape, kind.dtype), None, None)
    return x


def requires_grad_(x, requires_grad=True):
    """As in PyTorch: `x.grad` starts at None, and each backward adds to it. Returns x."""
    if not requires_grad:
        if leaf_of(x) is not None:
            value = x.value
            set_class(x, Tensor)
            x.trace = x.info = x.gradient = None
            x.value = value
        return x
    if leaf_of(x) is None:
        _attach(x, "add", "requires_grad_")
        x.gradient = None
    return x


def _attach(x, mode, name):
    check_input(name, x, lambda: "the tensor")
    if x.trace is not None and leaf_of(x) is None and x.trace is BASE:
        raise UntrackedError(
            f"{name} on the result of a recorded computation would cut it off{where()}; attach to the inputs before computing, "
            "or cut on purpose: y = y.detach(); y.attach_grad()"
        )
    if x.trace is None:
        value = x.value if isinstance(x.value, np.ndarray) else np.asarray(x.value)
        # The leaf owns its values: plain views of them, made before, do not reach it.
        leaf = BASE.leaf(value.copy()[()])  # a scalar rather than an array without axes: much quicker
    elif leaf_of(x) is not None:
        leaf = x.trace.leaf(x.value)
    else:
        tape = Tape()
        tape.imperative = True
        leaf = tape.leaf(make(x.value, x.trace, x.info))
    set_class(x, type(leaf))
    x.value, x.trace, x.info = leaf.value, leaf.trace, leaf.info
    x.info[3] = _Leaf(x, mode)


def leaf_of(x):
    """The _Leaf of an attached tensor, else None."""
    if x.trace is None or type(x.trace) is not Tape or x.info[1] is not None:
        return None
    return x.info[3] if type(x.info[3]) is _Leaf else None


def get_grad(x):
    """The gradient that backward left: the live buffer. None before the first one where `requires_grad_()` was called."""
    leaf = leaf_of(x)
    if leaf is None:
        raise UntrackedError(
            f"no gradient is attached to this tensor{where()}; call x.attach_grad() before computing with it"
        )
    return getattr(leaf.tensor(), "gradient", None)  # x may be a copy.copy() of the attached tensor


def set_grad(x, value):
    if leaf_of(x) is None:
        raise UntrackedError(f"no gradient is attached to this tensor{where()}; call x.attach_grad() first")
    if value is not None and shape_of(value) != x.shape:
        raise ShapeError(f"the gradient has shape {shape_of(value)}, the tensor {x.shape}{where()}")
    x.gradient = None if value is None else untracked(value)


def zero_grad(x):
    """Set the attached gradient to zeros, in its buffer."""
    g = get_grad(x)
    if g is not None:
        if g.trace is None and type(g.value) is np.ndarray and g.value.flags.writeable:
            g.value[...] = 0
        else:
            x.gradient = make(np.zeros(x.shape, x.dtype), None, None)


def zero_(x):
    """Set every entry to 0, in place: `x.grad.zero_()`, as in PyTorch."""
    x[...] = 0
    return x


def backward(y, gradient=None, retain_graph=None, create_graph=False):
    """Fill the gradients of the attached tensors that y was computed from.

    y: shape () or size 1, or `gradient`, the cotangent, in its shape. The graph is released afterwards: a second
    backward over it raises, unless retain_graph=True. create_graph=True records the backward pass itself, so that the
    gradients can be differentiated again.
    """
    trace = y.trace
    if trace is None or type(trace) is not Tape:
        raise UntrackedError(
            f"backward on a tensor that depends on no attached tensor{where()}; call x.attach_grad() before computing y from x"
            if trace is None
            else f"backward inside a functional transform{where()}; return the value from the function, or use ad.grad inside it"
        )
    if not trace.imperative:
        raise UntrackedError(
            f"backward on a tensor that a functional transform (grad, vjp ...) is recording{where()}; "
            "return it from the function instead, or use ad.grad inside it"
        )
    if y.info[1] is released:
        released(None, y.info)
    g = _seed(y, gradient)
    seeds = [(y.info, g)]
    if create_graph:
        found = {k: (node, g) for k, (node, g) in walk(seeds, create=trace).items()}
    else:
        found = pull_back(seeds)
    for node, g in found.values():
        _store(node[3], g)
    if not (create_graph if retain_graph is None else retain_graph):
        free(seeds)


def _seed(y, gradient):
    kind = typeof(y)
    if gradient is None:
        if kind.size != 1:
            raise ShapeError(
                f"backward of a tensor of shape {kind.shape}{where()}; reduce it, for instance with y.sum(), or pass gradient=, "
                f"the cotangent, of shape {kind.shape}"
            )
        if kind.dtype.kind == "c":
            raise DTypeError(
                f"backward of a complex tensor{where()}; take .real, .imag or abs of it, or pass gradient="
            )
        return kind.dtype.type(1) if kind.shape == () else np.ones(kind.shape, kind.dtype)
    if shape_of(gradient) != kind.shape:
        raise ShapeError(f"gradient has shape {shape_of(gradient)}, but the tensor has shape {kind.shape}{where()}")
    given = typeof(gradient).dtype if is_tensor(gradient) else np.asarray(gradient).dtype
    if given.kind not in "fciub" or (given.kind == "c" and kind.dtype.kind == "f"):
        raise DTypeError(f"gradient has dtype {given}, but the tensor has dtype {kind.dtype}{where()}")
    if is_tensor(gradient) and given != kind.dtype:
        gradient = cast(gradient, kind.dtype)
    if is_tensor(gradient):
        return gradient.value if gradient.trace is None else gradient
    return np.asarray(gradient, dtype=kind.dtype)[()]


def _store(leaf, g):
    """Leave a cotangent with the attached tensor: in its buffer where there is one."""
    if type(leaf) is not _Leaf:
        return
    x = leaf.tensor()
    if x is None:
        return
    kind = typeof(x)
    buffer = x.gradient
    if is_tensor(g):  # recorded: the gradient is part of a graph, and cannot live in a buffer
        g = g if typeof(g).dtype == kind.dtype else cast(g, kind.dtype)
        x.gradient = g if buffer is None or leaf.mode == "write" else buffer + g
    elif buffer is None or buffer.trace is not None or type(buffer.value) is not np.ndarray:
        g = np.array(cast(np.asarray(g), kind.dtype))
        x.gradient = make(g, None, None) if buffer is None or leaf.mode == "write" else buffer + g
    elif not buffer.value.flags.writeable:  # recorded as a constant of a graph that still reads it
        g = np.array(cast(np.asarray(g), kind.dtype))
        buffer.value = g if leaf.mode == "write" else buffer.value + g
    elif leaf.mode == "write":
        buffer.value[...] = cast(np.asarray(g), kind.dtype)
    else:
        buffer.value[...] += cast(np.asarray(g), kind.dtype)


class no_grad:
    """A context, or a decorator, in which computing with attached tensors is not recorded.

    >>> import adjoint as ad
    >>> w = ad.tensor([1.0]).attach_grad()
    >>> (w * w).sum().backward()
    >>> with ad.no_grad():
    ...     w -= 0.1 * w.grad
    >>> w
    Tensor(shape=[1], dtype=Float64, value= [ 8.00000000e-01])
    """

    def __init__(self):
        self.tokens = []

    def __enter__(self):
        slow_down(1)
        self.tokens.append(paused.set(True))
        return self

    def __exit__(self, *_):
        paused.reset(self.tokens.pop())
        slow_down(-1)

    def __call__(self, f):
        @functools.wraps(f)
        def unrecorded(*args, **kwargs):
            with no_grad():
                return f(*args, **kwargs)

        return unrecorded


def detach(x):
    """The same values, cut off from what they were computed from: a constant for differentiation."""
    return stop_gradient(x)


def _install():
    Tensor.attach_grad = attach_grad
    Tensor.requires_grad_ = requires_grad_
    Tensor.requires_grad = property(lambda x: x.trace is not None, requires_grad_)
    Tensor.backward = backward
    Tensor.zero_ = zero_
    Tensor.grad = property(get_grad, set_grad)
    Tensor.zero_grad = zero_grad
    Tensor.detach = detach


_install()
