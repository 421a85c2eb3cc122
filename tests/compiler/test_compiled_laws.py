"""Every op, compiled: its value, derivatives and batch are those of NumPy; and faults planted in the compiler are seen."""

import warnings

import pytest

from adjoint.compiler.native import build, indices, step
from adjoint.compiler.native.code import Code
from adjoint.compiler.native.machine import ELEMENTWISE, Machine
from adjoint.compiler.native.nest import Nest
from adjoint.core.op import OPS
from tests.compiler.compiled_laws import LARGE, on_large, on_samples, on_vectors
from tests.laws.harness import samples

SAMPLED = [name for name, op in OPS.items() if op.sample is not None]
IN_REGISTERS = [name for name in SAMPLED if name in ELEMENTWISE]


@pytest.fixture(autouse=True)
def no_cache_and_no_warnings(no_disk_cache):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@pytest.fixture
def quick(monkeypatch):
    """Little of LLVM's optimisation, which takes a third of the time; the longer arrays below are compiled as usual."""
    load = build.compile_object
    monkeypatch.setattr(build, "compile_object", lambda text, _=None: load(text, (0, 0)))


@pytest.mark.parametrize("name", SAMPLED)
def test_op_on_its_samples(name, quick):
    on_samples(OPS[name]).compare()


@pytest.mark.parametrize("name", IN_REGISTERS)
def test_op_on_vectors(name):
    p = on_vectors(OPS[name]).compare()
    assert any(name in note.split() for note in p.notes if note.startswith("loop")) or name not in NATIVE, p.notes


@pytest.mark.parametrize("name", LARGE)
def test_family_on_large_arrays(name, quick):
    on_large(name).compare()


# Ops that must not be called back into NumPy on float64: the table of what is done in loops cannot shrink unseen.
NATIVE = {
    "exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "arcsin", "arccos", "arctan", "arctan2", "erf", "erfc", "expm1",
    "exp2", "log2", "log10", "cbrt", "gammaln", "psi", "maximum", "where", "clip", "sign", "floor_divide",
}  # fmt: skip


def test_callbacks_are_few():
    """Ops that a loop does are not called back on floats."""
    for name in ("tanh", "maximum", "where", "power", "remainder"):
        p = on_vectors(OPS[name]).compare()
        assert not [note for note in p.notes if "called back" in note], p.notes
    assert len(IN_REGISTERS) >= 80
    assert len(SAMPLED) >= 250 and all(samples(OPS[n]) for n in SAMPLED)


# Planted faults, none of which leaves the arrays: each is seen by the sheet of an op


def fault(owner, name, make):
    """A change of one function of the compiler: `make` gets the right one."""
    return pytest.param(owner, name, make, id=f"{getattr(owner, '__name__', owner).rpartition('.')[2]}.{name}")


def tail_as_full(old):
    return lambda width, end, first=0: old(width, width)


def last_lane_lost(old):
    def load(self, ptr, dtype, width=1, mask=None):
        return old(self, ptr, dtype, width, mask - 1 if mask is not None and mask > 1 else mask)

    return load


def first_axis_not_walked(old):
    def access(self, mem, strides, reads=True):
        return old(self, mem, [0, *strides[1:]] if reads and len(strides) > 1 else strides, reads)

    return access


def negative_ones_as_zero(old):
    return lambda machine, i, n: old(machine, machine.maximum(i, machine.of(0, i)), n)


FAULTS = [
    ("maximum", fault(Machine, "maximum", lambda old: lambda self, a, b: self.select(self.compare("greater", a, b), a, b))),
    ("remainder", fault(Machine, "remainder", lambda old: lambda self, a, b: self.math("fmod", a, b))),
    ("fmax", fault(Machine, "fmax", lambda old: lambda self, a, b: self.maximum(a, b))),
    ("copysign", fault(Machine, "copysign", lambda old: lambda self, a, b: self.select(self.test("fcmp olt", b, self.of(0, b)),
                                                                                    self.negative(self.absolute(a)), self.absolute(a)))),
    ("rint", fault(Machine, "rint", lambda old: lambda self, x: self._rounding("round", x))),
    ("sign", fault(Machine, "sign", lambda old: lambda self, x: self.call("copysign", self.of(1, x), x))),
    ("where", fault(Machine, "where", lambda old: lambda self, c, a, b: old(self, c, b, a))),
    ("signbit", fault(Machine, "signbit", lambda old: lambda self, x: self.test("fcmp olt", x, self.of(0, x)))),
    ("exp", fault(Machine, "math", lambda old: lambda self, name, *xs: self.multiply(old(self, name, *xs), self.of(1 + 1e-14, xs[0])))),
    ("add", fault(Code, "load", last_lane_lost)),
    ("multiply", fault(Nest, "access", first_axis_not_walked)),
    ("sum", fault(step, "lanes", tail_as_full)),
    ("sum", fault(step.Reduction, "identity", lambda old: lambda self: 1)),
    ("getitem", fault(indices, "wrapped", negative_ones_as_zero)),
]  # fmt: skip


@pytest.mark.parametrize(
    "name, owner, attribute, make", [pytest.param(n, *p.values, id=f"{n}-{p.id}") for n, p in FAULTS]
)
def test_planted_faults_are_seen(name, owner, attribute, make, monkeypatch):
    monkeypatch.setattr(owner, attribute, make(getattr(owner, attribute)))
    op = OPS[name]
    with pytest.raises(AssertionError):
        on_samples(op).compare()
        if name in ELEMENTWISE:
            on_vectors(op).compare()
        if name in LARGE:
            on_large(name).compare()
