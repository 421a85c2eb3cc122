"""Planted faults: each law fails on a rule that is wrong in the way it is there to see, and on no other account."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.core.op import OPS, Op, bind
from adjoint.core.tensor import concrete, is_tensor
from adjoint.primitives.kinds import unbroadcast
from adjoint.traces.capture import Capture, capture
from tests.laws import harness
from tests.laws.harness import Case, obeys

RULES = ("eval", "type", "jvp", "vjp", "batch", "record", "dual", "sample", "effect", "kind")


def copy(op, **changes):
    """The same op with some of its rules changed, outside the registry."""
    rules = {name: getattr(op, name) for name in RULES} | changes
    new = Op(op.name, rules.pop("eval"), register=False, **rules)
    if "vjp" not in changes:
        new.saves, new.saves_rest = op.saves, op.saves_rest
    return new


def cases(op):
    """Cases of an op outside the registry: without its entry, which is of the right op."""
    rows = op.sample(harness.seeded(op.name))
    return [Case(op, args, params, f"sample {i}: ") for i, (args, params) in enumerate(rows)]


def fails(op, law):
    """Whether a law sees something wrong with this op."""
    try:
        obeys(op, law, cases=cases(op))
    except (AssertionError, ValueError, TypeError, IndexError):
        return True
    return False


def laws_that_fail(op, names=("jvp", "transpose", "batch", "captured", "second", "types", "single", "untracked")):
    return {law for law in names if fails(op, law)}


def test_right_ops_pass():
    for name in ("tanh", "multiply", "where", "maximum"):
        assert laws_that_fail(copy(OPS[name]), harness.DERIVATIVE) == set()
    assert laws_that_fail(copy(OPS["floor"]), harness.WITHOUT_DERIVATIVE) == set()


# Wrong derivatives

tanh, multiply = OPS["tanh"], OPS["multiply"]


def test_wrong_partial_in_both_modes():
    """jvp and vjp agree with each other, and are wrong: the differences see it, the transpose cannot."""
    slope = lambda x: 1 - np.tanh(x) ** 3
    op = copy(tanh, jvp=lambda ts, y, x: ts[0] * slope(x), vjp=lambda wants, g, _y, x: (g * slope(x),))
    assert "jvp" in laws_that_fail(op)
    assert "transpose" not in laws_that_fail(op)


def test_slightly_wrong_partial():
    op = copy(tanh, jvp=lambda ts, y, x: ts[0] * (1 - np.tanh(x) ** 2) * (1 + 1e-5),
              vjp=lambda wants, g, _y, x: (g * (1 - np.tanh(x) ** 2) * (1 + 1e-5),))  # fmt: skip
    assert fails(op, "jvp")


def test_tiny_error_in_an_analytic_op():
    """Where eval takes complex numbers, the complex step sees what differences do not."""
    op = copy(tanh, jvp=lambda ts, y, x: ts[0] * (1 - np.tanh(x) ** 2) * (1 + 1e-8))
    assert fails(op, "jvp")


def test_wrong_vjp_only():
    op = copy(tanh, vjp=lambda wants, g, y, _x: (g * (1 - y),))
    assert {"transpose", "second"} <= laws_that_fail(op)


def test_vjp_in_value_right_but_not_differentiable():
    """A rule that leaves the tensors loses its own derivative: only the second order sees it."""
    op = copy(tanh, vjp=lambda wants, g, _y, x: (g * (1 - np.tanh(_stripped(x)) ** 2),))
    assert laws_that_fail(op, ("jvp", "transpose")) == set()
    assert fails(op, "second")


def _stripped(x):
    return concrete(x, "planted") if is_tensor(x) else x


def test_vjp_that_ignores_an_argument():
    op = copy(multiply, vjp=lambda wants, g, _y, a, b: (unbroadcast(g * b, a) if wants[0] else None, None))
    assert fails(op, "transpose")


def test_jvp_that_ignores_an_argument():
    op = copy(multiply, jvp=lambda ts, y, a, b: None if ts[0] is None else ts[0] * b)
    assert {"jvp", "transpose"} <= laws_that_fail(op)


def test_vjp_that_is_wrong_when_one_argument_alone_is_wanted():
    def vjp(wants, g, _y, a, b):
        both = (unbroadcast(g * b, a), unbroadcast(g * a, b))
        return both if all(wants) else both[::-1]

    assert fails(copy(multiply, vjp=vjp), "transpose")


def test_vjp_that_forgets_broadcasting():
    op = copy(multiply, vjp=lambda wants, g, _y, a, b: (g * b, g * a))
    assert {"transpose", "types"} & laws_that_fail(op)


def test_wrong_transpose_of_a_linear_op():
    op = Op(
        "scaled_reverse",
        lambda x: 2.0 * x[::-1],
        kind="linear",
        jvp=lambda ts, y, x: 2.0 * np.flip(ts[0], -1),
        vjp=lambda wants, g, _y, _x: (2.0 * g,),
        sample=lambda rng: [((rng.normal(size=3),), {})],
        register=False,
    )
    assert fails(op, "transpose")
    assert not fails(op, "jvp")


def test_conjugate_forgotten():
    """With complex numbers the transpose of p t is conj(p) g."""
    op = copy(multiply, vjp=lambda wants, g, _y, a, b: (unbroadcast(g * b, a), unbroadcast(g * a, b)))
    assert not fails(op, "transpose")
    rng = np.random.default_rng(0)
    z = [rng.normal(size=3) + 1j * rng.normal(size=3) for _ in range(2)]
    with pytest.raises(AssertionError, match="transpose"):
        obeys(op, "transpose", cases=[Case(op, z, {})])


# Wrong batches, types and captures


def test_wrong_batch_axis():
    op = Op(
        "last_sum",
        lambda x: np.add.reduce(x, axis=-1),
        kind="linear",
        batch=lambda size, batched, x: np.sum(x, axis=1),
        sample=lambda rng: [((rng.normal(size=(2, 4)),), {})],
        register=False,
    )
    assert fails(op, "batch")
    op.batch = lambda size, batched, x: np.sum(x, axis=-1)
    assert not fails(op, "batch")


def test_batch_that_does_not_align():
    assert fails(copy(multiply, batch=lambda size, batched, a, b: bind(multiply, a, b)), "batch")


def test_wrong_dtype():
    op = copy(tanh, vjp=lambda wants, g, _y, x: ((g * (1 - np.tanh(x) ** 2)).astype(np.float64),))
    assert not fails(op, "types")
    assert fails(op, "single")


def test_value_in_double():
    op = copy(tanh, eval=lambda x: np.tanh(x, dtype=np.float64), type=None)
    assert fails(op, "single")


def test_wrong_type_rule():
    op = copy(OPS["sum"], type=lambda *types, **params: types[0])
    assert {"types", "captured"} & laws_that_fail(op)


def test_rule_that_writes_into_its_argument():
    def vjp(wants, g, _y, x):
        g *= 1 - np.tanh(x) ** 2
        return (g,)

    assert fails(copy(tanh, vjp=vjp), "transpose")


def test_forgotten_derivative_of_a_nondiff_op():
    """An op declared without derivative that yet records something."""
    floor = OPS["floor"]
    op = copy(floor, jvp=lambda ts, y, x: ts[0])
    case = Case(op, [np.array([0.5, 1.5])], {})
    with pytest.raises(AssertionError, match="tracked"):
        harness.law_untracked(case, np.random.default_rng(0))


def test_forgotten_closure_gradient(monkeypatch):
    """A captured body's outer values are inputs; frozen into constants, their gradient is lost without a trace."""

    def closes_over(xs):
        x, z = xs
        graph = capture(lambda u: u * x, 1.0)
        return graph.run(z, *graph.hidden)

    xs = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    harness.check_jvp(closes_over, xs, np.random.default_rng(0), "a closure")
    harness.check_transpose(closes_over, xs, np.random.default_rng(0), "a closure")

    own = Capture.operand

    def forgetful(self, x):
        return own(self, x if not is_tensor(x) or x.trace is self else concrete(x, "planted"))

    monkeypatch.setattr(Capture, "operand", forgetful)
    with pytest.raises(AssertionError):
        harness.check_jvp(closes_over, xs, np.random.default_rng(0), "a closure")


def test_wrong_fast_pull(monkeypatch):
    """The entry's own way back is another text than the rule; the law walks both."""
    from adjoint.traces import reverse

    sine = OPS["sin"]
    entry = reverse.unary(sine, np.sin, (False, True), lambda g, node: -g * np.cos(node[4]))
    case = Case(sine, [np.array([0.5, 1.5])], {}, entry=entry)
    with pytest.raises(AssertionError, match="fast entry"):
        harness.law_transpose(case, np.random.default_rng(0))


def test_cond_that_pulls_through_the_wrong_branch(monkeypatch):
    """Seen only because the branches really differ."""

    def chooses(xs):
        return [ad.cond(np.sum(xs[0]) > 1, lambda x: x * x, lambda x: np.sin(x), xs[0])]

    xs = [np.array([1.0, 2.0])]
    graph = capture(lambda x: chooses([x]), *xs)
    run = lambda row: graph.run(*row)
    harness.check_transpose(run, xs, np.random.default_rng(0), "cond")
    cond, own = OPS["cond"], OPS["cond"].vjp

    def swapped(wants, g, saved, *args, **params):
        (true, false), *rest = saved
        return own(wants, g, ((false, true), *rest), *args, **params)

    monkeypatch.setattr(cond, "vjp", swapped)
    with pytest.raises(AssertionError, match="transpose"):
        harness.check_transpose(run, xs, np.random.default_rng(0), "cond")
