"""Shapes, dtypes and layouts that samples do not list: broadcasting, 0-d, empty, negative strides, Fortran order.

The gradient of sum(f(x, y) * w) has its inputs' shapes and dtypes, and is the difference of that sum.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

import adjoint as ad
from tests.laws.harness import difference

DTYPES = st.sampled_from([np.float32, np.float64])
LAYOUTS = st.sampled_from(["C", "F", "reversed", "gaps", "read-only"])
SEEDS = st.integers(0, 2**32 - 1)
TOLERANCE = {np.dtype(np.float32): 2e-3, np.dtype(np.float64): 1e-6}


def lay_out(x, layout):
    """The same values in another memory layout."""
    if x.ndim == 0 or layout == "C":
        return x
    if layout == "F":
        return np.asfortranarray(x)
    if layout == "reversed":
        turn = (slice(None, None, -1),) * x.ndim
        return x[turn].copy()[turn]
    if layout == "gaps":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    x = x.copy()
    x.flags.writeable = False
    return x


def draw(rng, shape, dtype, layout, positive=False):
    """Distinct values away from 0, so that no kink is near."""
    n = int(np.prod(shape))
    values = (rng.permutation(n) + 1.0 + rng.uniform(-0.2, 0.2, n)) / max(1, n) * 2
    if not positive:
        values *= rng.choice([-1.0, 1.0], n)
    return lay_out(values.reshape(shape).astype(dtype), layout)


def check(f, xs, rng):
    """Gradient and tangent of sum(f(*xs) * w), w random, against the difference in float64."""
    try:
        y = f(*xs)
    except ValueError as error:  # the maximum of nothing: the same error with tensors
        with pytest.raises(ValueError, match=str(error).split("(")[0].split(",")[0].strip() or None):
            ad.grad(lambda *a: np.sum(f(*a)), argnums=tuple(range(len(xs))))(*xs)
        return
    w = rng.normal(size=np.shape(y))
    weighed = lambda *a: np.sum(f(*a) * w)
    grads = ad.grad(weighed, argnums=tuple(range(len(xs))))(*xs)
    for x, g in zip(xs, grads, strict=True):
        assert type(g) is type(x)
        assert g.shape == x.shape and g.dtype == x.dtype
        assert g.flags.writeable if type(g) is np.ndarray else True
    ts = [np.asarray(rng.normal(size=x.shape), x.dtype) for x in xs]
    got = sum(float(np.sum(g.astype(float) * t)) for g, t in zip(grads, ts))
    wide = [np.asarray(x, float) for x in xs]
    want = float(difference(lambda row: [weighed(*row)], wide, [t.astype(float) for t in ts])[0])
    size = sum(np.linalg.norm(np.ravel(g)) * np.linalg.norm(np.ravel(t)) for g, t in zip(grads, ts)) + abs(want) + 1e-3
    tol = max(TOLERANCE[x.dtype] for x in xs)
    assert abs(got - want) <= tol * size
    value, tangent = ad.jvp(f, tuple(xs), tuple(ts))
    assert np.shape(tangent) == np.shape(value) == np.shape(y)
    assert np.asarray(value).dtype == np.asarray(tangent).dtype == np.asarray(y).dtype
    assert abs(float(np.sum(tangent * w)) - got) <= tol * size


TWO = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "hypot": np.hypot,
    "arctan2": np.arctan2,
    "logaddexp": np.logaddexp,
    "where": lambda x, y: np.where(x > 0, y, x * y),
    "mixed": lambda x, y: x * y + np.sin(x) - 2.0 * y,
}


@pytest.mark.parametrize("name", TWO)
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=3, min_side=0, max_side=3),
    dtypes=st.tuples(DTYPES, DTYPES),
    layouts=st.tuples(LAYOUTS, LAYOUTS),
    seed=SEEDS,
)
def test_broadcasting(name, shapes, dtypes, layouts, seed):
    rng = np.random.default_rng(seed)
    xs = [draw(rng, s, d, lay) for s, d, lay in zip(shapes.input_shapes, dtypes, layouts)]
    check(TWO[name], xs, rng)


ONE = {
    "exp": np.exp,
    "abs": np.abs,
    "square": np.square,
    "tanh": np.tanh,
    "negative": np.negative,
    "sqrt of square": lambda x: np.sqrt(x * x + 1),
    "power": lambda x: x**3,
    "clip": lambda x: np.clip(x, -0.51, 0.52),
    "python scalars": lambda x: 2 * x + 1.5 - x / 3,
}


@pytest.mark.parametrize("name", ONE)
@given(shape=array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), dtype=DTYPES, layout=LAYOUTS, seed=SEEDS)
def test_elementwise(name, shape, dtype, layout, seed):
    rng = np.random.default_rng(seed)
    check(ONE[name], [draw(rng, shape, dtype, layout)], rng)


REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "prod": np.prod,
    "max": np.max,
    "min": np.min,
    "var": np.var,
    "std": np.std,
    "linalg.norm": lambda x, axis=None, **kw: np.linalg.norm(np.ravel(x) if axis is None else x, axis=axis, **kw),
    "sum of squares": lambda x, axis=None, keepdims=False: (x * x).sum(axis, keepdims=keepdims),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data())
def test_reductions(name, data):
    least = 1 if name in ("std", "linalg.norm", "mean", "var") else 0
    shape = data.draw(array_shapes(min_dims=0, max_dims=3, min_side=least, max_side=4))
    if name == "std" and int(np.prod(shape)) == 1:
        return  # its value at spread 0 is a convention
    options = [None]
    if shape:
        options += [*range(-len(shape), len(shape)), tuple(range(len(shape)))]
        options += [(0, -1)] if len(shape) > 1 else []
    axis = data.draw(st.sampled_from(options))
    if name == "linalg.norm" and type(axis) is tuple:
        axis = axis[0]
    if name == "linalg.norm" and axis is None:
        keepdims = False
    else:
        keepdims = data.draw(st.booleans())
    if name == "std":
        axes = range(len(shape)) if axis is None else (axis,) if type(axis) is int else axis
        if int(np.prod([shape[a] for a in axes])) == 1:
            return
    rng = np.random.default_rng(data.draw(SEEDS))
    x = draw(rng, shape, data.draw(DTYPES), data.draw(LAYOUTS))
    check(lambda x: REDUCTIONS[name](x, axis=axis, keepdims=keepdims), [x], rng)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "sort", "diff", "flip", "argsort"])
@given(
    shape=array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4), axis=st.integers(-3, 2),
    dtype=DTYPES, layout=LAYOUTS, seed=SEEDS,
)  # fmt: skip
def test_along_an_axis(name, shape, axis, dtype, layout, seed):
    if not -len(shape) <= axis < len(shape):
        axis = -1
    rng = np.random.default_rng(seed)
    x = draw(rng, shape, dtype, layout)
    if name == "argsort":
        check(lambda x: np.take_along_axis(x, np.argsort(x, axis=axis), axis) * 2, [x], rng)
    else:
        check(lambda x: getattr(np, name)(x, axis=axis), [x], rng)


SHAPES = {
    "ravel": lambda x: np.ravel(x),
    "reshape": lambda x: np.reshape(x, (-1, 1)) if x.size else np.reshape(x, (0, 1)),
    "transpose": lambda x: np.transpose(x),
    "swapaxes": lambda x: np.swapaxes(x, 0, -1) if np.ndim(x) else x,
    "expand_dims": lambda x: np.expand_dims(x, (0, -1)),
    "newaxis": lambda x: x[None, ..., None],
    "squeeze": lambda x: np.squeeze(x[None]),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, *np.shape(x))),
    "roll": lambda x: np.roll(x, 2),
    "flip": lambda x: np.flip(x),
    "tile": lambda x: np.tile(x, 2),
    "repeat": lambda x: np.repeat(x, 2),
    "pad": lambda x: np.pad(x, 1) if np.ndim(x) else x,
    "stack": lambda x: np.stack([x, 2 * x], axis=-1),
    "concatenate": lambda x: np.concatenate([x[None], 3 * x[None]], axis=0),
    "atleast_2d": lambda x: np.atleast_2d(x),
    "slices": lambda x: x[..., ::-2] if np.ndim(x) else x[()],
    "fancy": lambda x: np.ravel(x)[np.array([0, 0, -1])] if x.size else x,
    "mask": lambda x: x[x > 0] if np.ndim(x) else x,
    "where": lambda x: np.where(x > 0, x, 2 * x),
    "list": lambda x: np.sum(np.stack([x, x, x * x]), axis=0),
    "astype": lambda x: x.astype(np.float64) * 2,
}


@pytest.mark.parametrize("name", SHAPES)
@given(shape=array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), dtype=DTYPES, layout=LAYOUTS, seed=SEEDS)
def test_shape_functions(name, shape, dtype, layout, seed):
    rng = np.random.default_rng(seed)
    check(SHAPES[name], [draw(rng, shape, dtype, layout)], rng)


@given(
    m=st.integers(0, 3), n=st.integers(0, 3), k=st.integers(0, 3),
    kind=st.sampled_from(["mm", "mv", "vm", "vv", "batched", "einsum", "dot"]),
    dtype=DTYPES, layouts=st.tuples(LAYOUTS, LAYOUTS), seed=SEEDS,
)  # fmt: skip
def test_products(m, n, k, kind, dtype, layouts, seed):
    rng = np.random.default_rng(seed)
    left = {"vm": (k,), "vv": (k,), "batched": (2, m, k)}.get(kind, (m, k))
    right = {"mv": (k,), "vv": (k,), "batched": (1, k, n)}.get(kind, (k, n))
    f = {"einsum": lambda a, b: np.einsum("ik,kj->ji", a, b), "dot": np.dot}.get(kind, np.matmul)
    check(f, [draw(rng, s, dtype, lay) for s, lay in zip((left, right), layouts)], rng)
