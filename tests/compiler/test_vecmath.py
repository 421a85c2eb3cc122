"""Vector mathematics: errors below 2.5 ulp over the whole domain, C's special values, any width, no library calls."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("llvmlite")
pytest.importorskip("mpmath")
pytest.importorskip("scipy")

from adjoint.compiler.native import vecmath
from adjoint.compiler.native.vecmath.builder import Builder, Value
from benchmarks import vecmath as bench

inf, nan = np.inf, np.nan
KINDS = ("double", "float")
PATHS = [True, False] if bench.has_fma() else [False]
BOUND = 2.5


@pytest.fixture(autouse=True)
def quiet():
    """NumPy warns of what is asked here on purpose."""
    with np.errstate(all="ignore"):
        yield


# ---- errors ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", bench.NAMES)
def test_error(name, kind):
    sample = bench.samples(name, kind, 100, seed=1)
    for fma in PATHS:
        error, where = bench.worst(bench.compiled(name, kind, 8, fma), sample)
        assert error < BOUND, (name, kind, fma, where)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


LONG = {
    name: getattr(np, name)
    for name in (
        "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "tanh", "sinh", "cosh", "arcsinh",
        "arccosh", "arctanh", "arcsin", "arccos", "arctan", "arctan2", "cbrt", "hypot", "power",
    )
} | {"sigmoid": sigmoid, "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))}  # fmt: skip


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no longer than double here")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LONG)
def test_error_at_many_points(name, kind):
    """Against long double, whose own error is about 0.001 ulp of a double."""
    xs = bench.Points(kind, 15000, seed=2).of(name)
    ok = bench.defined(name, xs)
    xs = tuple(x[ok] for x in xs)
    want = LONG[name](*(x.astype(np.longdouble) for x in xs))
    high = want.astype(np.float64)
    low = np.where(np.isfinite(high), want - high, 0).astype(np.float64)
    got = bench.compiled(name, kind, 8, PATHS[0])(*xs)
    error = bench.ulps(got, high, low, np.abs(high))
    assert error.max() < BOUND, [x[error.argmax()] for x in xs]


@pytest.mark.parametrize("fma", PATHS)
def test_the_measure_sees_a_wrong_digit(fma):
    """One bit in the last place but one is four ulp: the tests above would fail."""
    xs, high, low, size = bench.samples("exp", "double", 50)
    spoiled = np.nextafter(np.nextafter(np.nextafter(bench.compiled("exp", "double", 8, fma)(*xs), inf), inf), inf)
    assert bench.ulps(spoiled, high, low, size).max() > BOUND


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fma", PATHS)
def test_fmod_is_exact(kind, fma):
    x, y = bench.Points(kind, 2000, seed=3).of("fmod")
    np.testing.assert_array_equal(bench.compiled("fmod", kind, 8, fma)(x, y), np.fmod(x, y))


@pytest.mark.parametrize("fma", PATHS)
def test_what_has_an_exact_result_has_it(fma):
    def f(name, *xs):
        return bench.compiled(name, "double", 8, fma)(*xs)

    n = np.arange(-1074.0, 1024)
    np.testing.assert_array_equal(f("exp2", n), np.exp2(n))
    np.testing.assert_array_equal(f("log2", np.exp2(n)), n)
    k = np.arange(0.0, 23)
    np.testing.assert_array_equal(f("log10", 10.0**k), k)
    base, exponent = np.meshgrid(np.arange(-20.0, 21), np.arange(0.0, 12))
    exact = [[float(int(b) ** int(e)) for b in base[0]] for e in exponent[:, 0]]
    np.testing.assert_array_equal(f("power", base, exponent), exact)
    np.testing.assert_array_equal(f("cbrt", k**3), k)
    np.testing.assert_array_equal(f("hypot", 3.0 * n, 4.0 * n), 5 * np.abs(n))
    assert f("lgamma", np.array([1.0, 2.0])).tolist() == [0, 0]
    assert f("log", np.array([1.0])).tolist() == [0]


# ---- special values: NumPy's, which are C's ----

SPECIAL = np.array(
    [0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1e-45, -1e-45, 5e-324, -5e-324, 1e-310, 2.3e-308, -2.3e-308, 1e-30, -1e-30,
     88.8, -103.9, -104, 709.78, 710, -745.2, 1e17, -1e17, 1e300, 1e308, -1e308, 1.7976931348623157e308, inf, -inf, nan,
     2.5, -2.5, -3.5, 2.0**52 + 1, 2.0**53 - 1, 2.0**53, -4503599627370495.5, 1 + 2**-52, 1 - 2**-53]
)  # fmt: skip


def same(got, want):
    """Equal to a few ulp; equal infinities, NaN and signs, those of zero too."""
    near = np.isfinite(got) & np.isfinite(want)
    near &= np.abs(got - want) <= 16 * np.spacing(np.where(np.isfinite(want), np.abs(want), 1)).astype(want.dtype)
    near = (near | (got == want)) & (np.signbit(got) == np.signbit(want))
    return near | np.isnan(got) & np.isnan(want)


def lgamma(x):
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # a pole, too large
        return inf


@pytest.mark.parametrize("fma", PATHS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", bench.NAMES)
def test_special_values(name, kind, fma):
    xs = [SPECIAL.astype(bench.DTYPES[kind])]
    if vecmath.FUNCTIONS[name][1] == 2:
        xs = [x.ravel() for x in np.meshgrid(*xs, *xs)]
    got = bench.compiled(name, kind, 8, fma)(*xs)
    want = bench.peer(name)(*xs)
    if name == "sigmoid":  # SciPy's flushes subnormal results
        x = xs[0].astype(np.longdouble)
        want = sigmoid(x).astype(want.dtype)
    if name == "logaddexp":  # the sign of a sum below the smallest float32: the exact sum's here, not NumPy's
        want = np.where((got == 0) & (want == 0), got, want)
    if name == "lgamma":  # Python's; SciPy's has poles at subnormal numbers
        want = np.array([lgamma(x) for x in xs[0]]).astype(want.dtype)
    ok = same(got, want)
    if name == "lgamma":  # near its zeros neither peer has more than an absolute error
        ok |= np.abs(got - want) < 1e-15
    assert ok.all(), [(*(x[i] for x in xs), got[i], want[i]) for i in np.flatnonzero(~ok)[:5]]


def test_odd_functions_keep_the_sign_of_zero():
    zeros = np.array([0.0, -0.0])
    for name in (
        "sin",
        "tan",
        "tanh",
        "sinh",
        "arcsin",
        "arctan",
        "arcsinh",
        "arctanh",
        "expm1",
        "log1p",
        "cbrt",
        "erf",
    ):
        for kind in KINDS:
            got = bench.compiled(name, kind, 8, PATHS[0])(zeros)
            assert got.tolist() == [0, 0] and np.signbit(got).tolist() == [False, True], name


# ---- widths, inlining, what is called ----


@pytest.mark.parametrize("width", [1, 2, 3, 4, 16])
@pytest.mark.parametrize(
    "name, kind",
    [("exp", "double"), ("sin", "double"), ("sin", "float"), ("tan", "double"), ("log", "float"), ("fmod", "double"),
     ("lgamma", "double"), ("power", "double"), ("arctan2", "float")],
)  # fmt: skip
def test_every_width_gives_the_same_bits(name, kind, width):
    """Large and small lanes side by side: the rare branches must not touch their neighbours."""
    xs = [x[:400] for x in bench.Points(kind, 150, seed=4).of(name)]
    for fma in PATHS:
        want = bench.compiled(name, kind, 8, fma)(*xs)
        np.testing.assert_array_equal(bench.compiled(name, kind, width, fma)(*xs), want)


def everything(fma, width=8, inline=False):
    """One module with all functions, and its text."""
    module = SimpleNamespace(functions={}, declarations={}, fma=fma)
    calls = []
    for name in bench.NAMES:
        for kind in KINDS:
            t = kind if width == 1 else f"<{width} x {kind}>"
            symbol = vecmath.request(module, name, kind, width, inline)
            args = ", ".join(f"{t} %x{i}" for i in range(vecmath.FUNCTIONS[name][1]))
            calls.append(f"define {t} @user.{symbol}({args}) {{\n  %y = call {t} @{symbol}({args})\n  ret {t} %y\n}}")
    return module, "\n\n".join([*module.declarations.values(), *module.functions.values(), *calls])


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("fma", [True, False])
def test_the_text_of_all_functions_in_one_module_is_valid(width, fma):
    import llvmlite.binding as llvm

    _, text = everything(fma, width)
    llvm.parse_assembly(text).verify()


def test_asking_again_changes_nothing():
    module, _ = everything(True)
    before = dict(module.functions), dict(module.declarations)
    vecmath.request(module, "exp", "double", 8)
    assert (module.functions, module.declarations) == before
    assert all(f"@{symbol}(" in text for symbol, text in module.functions.items())
    assert all(text.startswith("declare") and f"@{symbol}(" in text for symbol, text in module.declarations.items())


def test_supported():
    assert all(vecmath.supported(name) for name in bench.NAMES)
    assert vecmath.supported("gammaln") and not vecmath.supported("frobnicate")


def called(text, cpu):
    """The names of functions that machine code for that CPU calls."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu=cpu, opt=1, reloc="static", codemodel="small")
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    code = machine.emit_assembly(module)
    assert "%ymm" in code if cpu == "haswell" else "%xmm" in code
    return {name.removesuffix("@PLT") for name in re.findall(r"^\s+(?:call|jmp)q?\s+([\w.*%]+)", code, re.M)}


@pytest.mark.parametrize("cpu, fma", [("x86-64", False), ("haswell", True)])
def test_no_library_is_called(cpu, fma):
    names = {name for name in called(everything(fma)[1], cpu) if not name.startswith(".L")}
    assert names and all(name.startswith("ad.") for name in names), names


def test_the_check_for_library_calls_sees_one():
    text = "declare double @llvm.fma.f64(double, double, double)\ndefine double @f(double %x) {\n"
    text += "  %y = call double @llvm.fma.f64(double %x, double %x, double %x)\n  ret double %y\n}"
    assert "fma" in called(text, "x86-64")


def test_inlined_exactly_if_asked():
    for inline in (False, True):
        text = str(bench.optimised(bench.loop_text("exp", "double", 8, True, inline)))
        assert ("@ad.exp" in text) is not inline
        text = str(bench.optimised(bench.loop_text("sin", "double", 8, True, inline)))
        assert ("@ad.sin" in text) is not inline
        assert "@ad.far.v8f64" in text  # the rare lanes' way stays a call


# ---- the builder ----


def test_builder_writes_constants_of_every_kind():
    for width, want in ((1, "0x3FF8000000000000"), (2, "splat (double 0x3FF8000000000000)")):
        b = Builder(width, True)
        assert b.operand("double", 1.5) == want
    b = Builder(1, True)
    assert b.operand("double", 0.0) != b.operand("double", -0.0)
    assert b.operand("float", 0.1) == "0x3FB99999A0000000"  # rounded to float32
    assert b.operand("double", inf) == "0x7FF0000000000000"
    assert b.operand("i64", -3) == "-3" and b.operand("i1", True) == "true"


def test_builder_keeps_the_order_of_operands():
    b = Builder(1, True)
    x = Value(b, "double", "%x")
    1.0 - x
    2.0 / x
    x - 1.0
    assert [line.split("=")[1].strip() for line in b.lines] == [
        "fsub double 0x3FF0000000000000, %x",
        "fdiv double 0x4000000000000000, %x",
        "fsub double %x, 0x3FF0000000000000",
    ]
