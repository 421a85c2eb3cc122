"""Every op in the registry under every law that applies to it, on its own samples."""

import pytest

from adjoint.core.op import OPS
from adjoint.traces import reverse
from tests.laws.harness import ENTRIES, LAWS, applies, differentiable, law_transpose, obeys, samples, seeded

# Ops without a sample, and why that is right. Everything else in the registry must have one.
WITHOUT_SAMPLE = {
    "pack": "it makes a tuple: tested through every op whose result is one",
    "item": "it takes a tuple apart: tested through every op whose result is one",
    "cond": "its branches are graphs: tests/laws/test_control.py",
    "while_loop": "its test and body are graphs: tests/laws/test_control.py",
    "scan": "its body is a graph: tests/laws/test_control.py",
    "call": "its function is a graph: tests/laws/test_control.py",
    "stack_zeros": "its argument is what a captured loop saved: tests/laws/test_control.py",
    "stack_masked": "as stack_zeros",
    "stack_unmasked": "as stack_zeros",
    "stack_masks": "as stack_zeros",
    "stack_spread": "as stack_zeros",
    "stack_sum_lanes": "as stack_zeros",
    "stack_add": "as stack_zeros",
    **dict.fromkeys(
        ("mathieu_a", "mathieu_b", "pro_cv", "obl_cv"),
        "differentiating it is refused: tests/primitives/test_scipy_functions.py",
    ),
    "check": "its exception is the user's: tests/compiler/test_syntax.py",
    "show": "it prints: tests/compiler/test_syntax.py",
}
SAMPLED = {name: op for name, op in OPS.items() if op.sample is not None}
PAIRS = [(name, law) for name, op in SAMPLED.items() for law, reason in applies(op).items() if not reason]


@pytest.mark.parametrize("name, law", [pytest.param(n, w, id=f"{n}-{w}") for n, w in PAIRS])
def test_op_obeys(name, law):
    reasons = obeys(OPS[name], law)
    assert reasons
    if all(reasons):
        assert law in ("complex", "create")  # the others can be asked of every op
        pytest.skip(reasons[0])


def test_every_op_has_a_sample_or_a_reason():
    without = {name for name, op in OPS.items() if op.sample is None}
    assert without <= set(WITHOUT_SAMPLE), f"ops without sample: {sorted(without - set(WITHOUT_SAMPLE))}"
    stale = {name for name in WITHOUT_SAMPLE if name in OPS and OPS[name].sample is not None}
    assert not stale, f"they have a sample now: {stale}"


def test_every_op_is_under_every_law_or_there_is_a_reason():
    reasons = set()
    for name, op in SAMPLED.items():
        rows = applies(op)
        assert set(rows) == set(LAWS)
        reasons |= set(rows.values())
        if differentiable(op):
            assert not rows["jvp"], f"{name} has a derivative, and {rows['jvp']}"
    assert reasons == {"", "it has a derivative", "it has no derivative"}


def test_both_modes_are_there():
    one_sided = [n for n, op in OPS.items() if (op.jvp is None and op.dual is None) != (op.vjp is None)]
    assert not one_sided, f"ops with one of jvp and vjp only: {one_sided}"


def test_samples_are_many_and_repeatable():
    for name, op in SAMPLED.items():
        rows = samples(op)
        assert rows, name
        assert list(map(repr, rows)) == list(map(repr, samples(op))), f"{name} draws from another generator"


# writes have no entry of the kind: tests/primitives/test_write.py walks them; what has no sample has its reason in WITHOUT_SAMPLE
@pytest.mark.parametrize("name", sorted(({op.name for op, _ in reverse.FAST.values()} - {"setitem"}) & set(SAMPLED)))
def test_fast_pulls_are_all_walked(name):
    """The laws see each fast way back: an op's samples must reach all of its entry's pulls."""
    seen: set = set()
    assert name in ENTRIES, f"the entry of {name} was not found: give it the attribute op"
    floating: set = set()  # arguments with a derivative in some sample: the others are never tracked
    for case in samples(OPS[name]):
        floating |= set(case.active)
        if case.active:
            law_transpose(case, seeded(name), seen)
    # fit_a, fit_b and fit_both are the same for every op: the samples of arithmetic broadcast
    rows = {
        pull: wants for pull, (op, wants) in reverse.FAST.items() if op.name == name and pull.__name__[:4] != "fit_"
    }
    unseen = [wants for pull, wants in rows.items() if pull not in seen]
    missing = [wants for wants in unseen if {i for i, w in enumerate(wants) if w} <= floating]
    assert not missing, f"no sample of {name} reaches its fast pulls for the arguments {missing}"
