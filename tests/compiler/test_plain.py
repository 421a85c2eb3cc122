"""Products of backward passes do not select in native code; where that makes a NaN, everything is done again with those that do."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler import program
from adjoint.compiler.passes.plain import HEARD


@pytest.fixture
def again(monkeypatch):
    """How often the work was done again."""
    calls = []
    run = program._Again.__call__

    def counted(self, leaves):
        calls.append(leaves)
        return run(self, leaves)

    monkeypatch.setattr(program._Again, "__call__", counted)
    return calls


def test_no_second_run_where_nothing_is_nan(again):
    f = ad.jit(ad.value_and_grad(lambda x: np.sum(np.sin(x) * np.sqrt(x))))
    x = np.array([0.25, 4.0])
    y, g = f(x)
    assert "all is done again" in f.explain(x)
    assert not again
    np.testing.assert_allclose(y, np.sum(np.sin(x) * np.sqrt(x)), rtol=1e-14)
    np.testing.assert_allclose(g, np.cos(x) * np.sqrt(x) + np.sin(x) / (2 * np.sqrt(x)), rtol=1e-14)


def test_zero_times_infinity_is_zero(again):
    # at 0 the root has an infinite slope, and the maximum does not choose it
    g = ad.jit(ad.grad(lambda x: np.sum(np.maximum(np.sqrt(x), 1.0))))
    np.testing.assert_array_equal(g(np.array([0.0, 4.0])), [0.0, 0.25])
    assert len(again) == 1
    np.testing.assert_array_equal(g(np.array([1.5, 4.0])), [0.5 / np.sqrt(1.5), 0.25])
    assert len(again) == 1
    np.testing.assert_array_equal(g(np.array([0.0, 9.0])), [0.0, 0.5 / 3])
    assert len(again) == 2


def test_in_a_loop_and_beside_a_large_result(again):
    def f(x):
        y = np.zeros(x.shape)
        for _ in range(50):
            y = y + np.maximum(np.sqrt(x), 1.0)
        return np.sum(y)

    x = np.full(3000, 4.0)
    x[[0, 1500, 2999]] = 0.0
    g = ad.jit(ad.grad(f))(x)
    np.testing.assert_allclose(g, np.where(x > 0, 50 * 0.25, 0.0), rtol=1e-13)
    assert len(again) == 1


def test_a_loop_of_unknown_length(again):
    def f(x):
        y = 0.0
        while y < 4.0:
            y = y + 1.0 + np.maximum(np.sqrt(x), 0.5)
        return y

    g = ad.jit(ad.grad(f))
    assert g(0.0) == 0.0  # three steps, in each of which the constant is chosen
    assert len(again) == 1
    np.testing.assert_allclose(g(4.0), 2 * 0.25, rtol=1e-15)  # two steps
    assert len(again) == 1


def test_a_nan_that_is_right_stays(again):
    g = ad.jit(ad.grad(lambda x: np.sum(x * np.log(x))))
    got = g(np.array([np.nan, 1.0]))
    assert np.isnan(got[0]) and got[1] == 1.0
    assert len(again) == 1


@pytest.mark.parametrize("x, expected", [(0.0, 100.0), (4.0, 1.0)])
def test_a_decision_that_hangs_on_a_gradient(again, x, expected):
    # the NaN of a plain product would take the wrong way, and be seen nowhere
    def f(x):
        slope = ad.grad(lambda t: np.maximum(np.sqrt(t), 1.0))(x)
        return 100.0 if slope == 0.0 else 1.0

    def g(x):
        slope = ad.grad(lambda t: np.maximum(np.sqrt(t), 1.0))(x)
        return np.where(slope == 0.0, 100.0 * (x + 1.0), x + 1.0) / (x + 1.0)

    def h(x):
        y = ad.grad(lambda t: np.maximum(np.sqrt(t), 1.0))(x)
        n = 0
        while y == 0.0:
            y = y + 1.0
            n = n + 99
        return n + 1.0

    for each in (f, g, h):
        np.testing.assert_allclose(ad.jit(each)(x), expected, rtol=1e-15)
    assert not again


def test_prints_come_once(again, capsys):
    def f(x):
        print("here", x)
        return np.sum(np.maximum(np.sqrt(x), 1.0))

    g = ad.jit(ad.grad(f))
    np.testing.assert_array_equal(g(np.array([0.0, 4.0])), [0.0, 0.25])
    assert capsys.readouterr().out.count("here") == 1


def test_a_check_may_be_made_again(again):
    def f(x):
        if np.sum(x) > 10.0:
            raise ValueError("too large")
        return np.sum(np.maximum(np.sqrt(x), 1.0))

    g = ad.jit(ad.grad(f))
    np.testing.assert_array_equal(g(np.array([0.0, 4.0])), [0.0, 0.25])
    assert len(again) == 1
    with pytest.raises(ValueError, match="too large"):
        g(np.array([0.0, 40.0]))


def test_second_derivatives(again):
    # x^(3/2): its second derivative at 0 is infinite, and is not chosen
    h = ad.jit(ad.hessian(lambda x: np.sum(np.maximum(x * np.sqrt(x), 1.0))))
    np.testing.assert_allclose(h(np.array([0.0, 4.0])), [[0.0, 0.0], [0.0, 0.75 / 2]], rtol=1e-14)


def test_several_threads_at_once():
    from concurrent.futures import ThreadPoolExecutor

    g = ad.jit(ad.grad(lambda x: np.sum(np.maximum(np.sqrt(x), 1.0))))
    xs = [np.array([k % 2 * 4.0, 4.0]) for k in range(64)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(g, xs))
    for x, y in zip(xs, got, strict=True):
        np.testing.assert_array_equal(y, np.where(x > 0, 0.25, 0.0))


UNARY = {
    "negative": np.negative, "positive": np.positive, "square": np.square, "reciprocal": np.reciprocal, "sqrt": np.sqrt,
    "absolute": np.absolute, "fabs": np.fabs, "exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
    "reshape": lambda x: np.reshape(x, (3, 2)), "transpose": np.transpose, "flip": np.flip,
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3)), "roll": lambda x: np.roll(x, 1), "copy": np.copy,
    "astype": lambda x: x.astype(np.float32), "diagonal": np.diagonal, "getitem": lambda x: x[0], "sum": lambda x: np.sum(x, axis=0),
    "cumsum": lambda x: np.cumsum(x, axis=1), "concatenate": lambda x: np.concatenate([x, x]), "stack": lambda x: np.stack([x, x]),
    "pad": lambda x: np.pad(x, 1),
}  # fmt: skip
BINARY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum,
    "minimum": np.minimum, "power": np.power, "matmul": lambda a, b: a @ b.T, "outer": np.outer,
    "where": lambda a, b: np.where(np.array([True, False, True]), a, b),
}  # fmt: skip
INSIDE = {
    "strong_mul",
    "diagonal_matrix",
    "scatter",
    "scatter_sum",
    "index_set",
    "index_add",
    "stack_add",
}  # what derivatives are made of


def test_all_ops_that_are_heard_are_tried():
    assert HEARD == set(UNARY) | set(BINARY) | INSIDE


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_an_op_gives_nan_for_nan(name, large, dtype):
    """Each entry that changes with an entry of an argument is NaN when that is NaN."""
    f = UNARY.get(name) or BINARY[name]
    count = 1 if name in UNARY else 2
    rng = np.random.default_rng(5)
    shape = (2, 3)
    args = [rng.uniform(0.5, 1.5, shape).astype(dtype) for _ in range(count)]
    if large:  # in loops over memory, not in registers
        args = [np.tile(a, (7, 11)) for a in args]
        if name in ("broadcast_to", "reshape", "where"):
            pytest.skip("of a certain shape")
    compiled = ad.jit(f)
    for k in range(count):
        for place in [(0, 0), (1, 2), (-1, -1)]:
            rows = [a.copy() for a in args]
            before = np.asarray(f(*rows))
            rows[k][place] *= 2
            changes = np.asarray(f(*rows)) != before
            rows[k][place] = np.nan
            got = np.asarray(compiled(*rows))
            assert np.isnan(got)[changes].all(), (name, k, place)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [255, 256, 257, 1003, 30_001])
def test_a_large_result_is_watched_where_it_is_made(again, n, dtype):
    """By the loop, wherever the NaN is: in the first vector, in the last one of which a part is there, and nowhere."""
    g = ad.jit(ad.grad(lambda x: np.sum(np.maximum(np.sqrt(x), 1.0))))
    x = np.full(n, 4.0, dtype)
    for count, place in enumerate([0, 7, n // 2, n - 2, n - 1], 1):
        y = x.copy()
        y[place] = 0.0
        np.testing.assert_array_equal(g(y), np.where(y > 0, 0.25, 0))
        assert len(again) == count
    np.testing.assert_array_equal(g(x), np.full(n, 0.25))
    assert len(again) == 5


@pytest.mark.parametrize("shape", [(300, 3), (17, 40), (7, 9, 11), (3, 2000)], ids=str)
def test_results_that_are_put_together_of_what_loops_make(again, shape):
    def f(x, w):
        _, pull = ad.vjp(lambda x: np.maximum(np.sqrt(x) * w, 1.0), x)
        (g,) = pull(np.ones(x.shape))
        return np.stack([g, w, -g], axis=-1), np.concatenate([g.T, g.T]), np.sum(g), g[:1] + 1.0

    jitted = ad.jit(f)
    x, w = np.full(shape, 4.0), np.full(shape, 1.5)
    g = np.full(shape, 1.5 / 4)
    for count, place in enumerate([None, (0,) * len(shape), (-1,) * len(shape)]):
        if place is not None:
            x[:] = 4.0
            x[place] = 0.0
            g = np.where(x > 0, 1.5 / 4, 0.0)
        want = np.stack([g, w, -g], axis=-1), np.concatenate([g.T, g.T]), np.sum(g), g[:1] + 1.0
        for a, b in zip(jitted(x, w), want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)
        assert len(again) == count


def test_a_nan_that_is_handed_through_is_no_reason(again):
    x = np.full(1000, 4.0)

    def f(x, w):
        return np.stack([ad.grad(lambda x: np.sum(np.maximum(np.sqrt(x), 1.0)))(x), w])

    w = np.full(1000, np.nan)
    np.testing.assert_array_equal(ad.jit(f)(x, w), [np.full(1000, 0.25), w])
    assert not again


def test_a_large_result_cut_in_pieces(again):
    def f(x):
        return np.sum(np.maximum(np.sqrt(x), 1.0) * np.exp(np.sin(x) * np.cos(x)))

    x = np.full(1_500_000, 4.0)
    x[[3, 777_777, -1]] = 0.0
    got = ad.jit(ad.grad(f))(x)
    assert len(again) == 1
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(got, ad.grad(f)(x), rtol=1e-12)
