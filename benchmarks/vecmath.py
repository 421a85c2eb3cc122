"""Vector mathematics: nanoseconds an element, and the largest error, beside NumPy and SciPy."""

import ctypes
import functools
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from adjoint.compiler.native import vecmath

DTYPES = {"double": np.float64, "float": np.float32}


# ---- a loop over arrays, compiled ----


def has_fma():
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return features.get("fma", "neon" in features)


def loop_text(name, kind, width, fma, inline):
    """LLVM IR of `run(out, x, [y,] n)`, with all it needs; n is a multiple of the width."""
    module = SimpleNamespace(functions={}, declarations={}, fma=fma)
    symbol = vecmath.request(module, name, kind, width, inline)
    arity = vecmath.FUNCTIONS[name][1]
    t = kind if width == 1 else f"<{width} x {kind}>"
    size = {"double": 8, "float": 4}[kind]
    body = []
    for i in range(arity):
        body.append(f"  %p{i} = getelementptr {kind}, ptr %x{i}, i64 %i")
        body.append(f"  %v{i} = load {t}, ptr %p{i}, align {size}")
    given = ", ".join(f"{t} %v{i}" for i in range(arity))
    params = ", ".join(f"ptr noalias %x{i}" for i in range(arity))
    lines = "\n".join(body)
    loop = f"""define void @run(ptr noalias %out, {params}, i64 %n) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{lines}
  %y = call {t} @{symbol}({given})
  %q = getelementptr {kind}, ptr %out, i64 %i
  store {t} %y, ptr %q, align {size}
  %next = add i64 %i, {width}
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}"""
    return "\n\n".join([*module.declarations.values(), *module.functions.values(), loop])


@functools.cache
def _machine(cpu=None):
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    if cpu is None:
        features = llvm.get_host_cpu_features().flatten()
        return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=2, jit=True)
    return target.create_target_machine(cpu=cpu, opt=2, jit=True)


def optimised(text, cpu=None):
    """The module of that text, checked and run through LLVM's passes at O1, its own vectorisers off."""
    import llvmlite.binding as llvm

    machine = _machine(cpu)
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


@functools.cache
def compiled(name, kind="double", width=8, fma=True, inline=True):
    """The function over arrays: f(x) or f(x, y) gives a new array."""
    import llvmlite.binding as llvm

    module = optimised(loop_text(name, kind, width, fma, inline))
    engine = llvm.create_mcjit_compiler(module, _machine())
    engine.finalize_object()
    address = engine.get_function_address("run")
    arity = vecmath.FUNCTIONS[name][1]
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (arity + 1), ctypes.c_int64)(address)
    dtype = DTYPES[kind]

    def call(*xs):
        xs = [np.ascontiguousarray(x, dtype) for x in np.broadcast_arrays(*xs)]
        n = xs[0].size
        padded = max(width, -(-n // width) * width)
        held = [np.full(padded, 0.5, dtype) for _ in xs]
        for h, x in zip(held, xs):
            h[:n] = x.ravel()
        out = np.empty(padded, dtype)
        run(out.ctypes.data, *(h.ctypes.data for h in held), padded)
        return out[:n].reshape(xs[0].shape)

    call.run = run
    call.engine = engine
    return call


# ---- where to look for errors ----


class Points:
    """Arguments of one float kind: random over the whole domain, and around the places where an algorithm changes."""

    def __init__(self, kind, n, seed=0):
        self.dtype = DTYPES[kind]
        info = np.finfo(self.dtype)
        self.tiny, self.huge = float(info.smallest_subnormal), float(info.max)
        self.n = n
        self.rng = np.random.default_rng(seed)

    def uniform(self, low, high):
        return self.rng.uniform(low, high, self.n)

    def sizes(self, low=0.0, high=math.inf):
        """Of all magnitudes alike."""
        return np.exp(self.rng.uniform(math.log(max(low, self.tiny)), math.log(min(high, self.huge)), self.n))

    def signed(self, x):
        return x * self.rng.choice([-1.0, 1.0], x.shape)

    def near(self, *centres, width=0.3):
        """Around the centres, at all distances alike."""
        return self.rng.choice(centres, self.n) + self.signed(self.sizes(1e-17, width))

    def edges(self, *places):
        """The places and their neighbours, of both signs."""
        x = np.array(places, dtype=np.float64).astype(self.dtype)
        around = [x]
        with np.errstate(all="ignore"):
            for _ in range(2):
                down, up = np.nextafter(around[0], self.dtype(-np.inf)), np.nextafter(around[-1], self.dtype(np.inf))
                around = [down, *around, up]
        x = np.concatenate(around)
        return np.concatenate([x, -x])

    def bits(self):
        """Any bits: infinities, NaN and subnormal numbers too."""
        return np.frombuffer(self.rng.bytes(self.n * np.dtype(self.dtype).itemsize), self.dtype)

    def pairs(self, xs, ys):
        return self.rng.permutation(xs), self.rng.permutation(ys)

    def logarithm(self):
        return [
            self.sizes(),
            self.uniform(0.5, 2),
            self.near(1.0),
            self.edges(1.0, 2**0.5, 0.5**0.5, 1.2e-38, 2.3e-308),
        ]

    def exponential(self):
        low, high = math.log(self.tiny) - 2, math.log(self.huge) + 2
        steps = np.arange(-8, 9) * (math.log(2) / 2)
        return [self.uniform(low, high), self.uniform(-3, 3), self.signed(self.sizes(1e-20, 1)), self.edges(*steps)]

    def wave(self):
        multiples = np.round(self.uniform(0, 1e7)) * (math.pi / 2)
        worst = 6381956970095103.0 * 2.0 ** (797 if self.dtype == np.float64 else -50)
        limits = (2.0**14, 2.0**15, 2.0**20, 2.0**28, self.huge, worst, math.pi / 4)
        return [self.uniform(-10, 10), self.signed(self.sizes()), multiples, self.edges(*limits)]

    def unit(self):
        return [
            self.uniform(-1, 1),
            self.signed(self.sizes(0, 1)),
            self.near(-1.0, 1.0, width=0.5),
            self.edges(0.5, 1.0),
        ]

    def everywhere(self, *places):
        return [self.uniform(-5, 5), self.signed(self.sizes()), self.signed(self.sizes(0.01, 100)), self.edges(*places)]

    def of(self, name):
        """The arguments of a function, one array each."""
        one = {
            "exp": self.exponential, "exp2": self.exponential, "expm1": self.exponential, "sigmoid": self.exponential,
            "softplus": self.exponential, "sinh": self.exponential, "cosh": self.exponential,
            "log": self.logarithm, "log2": self.logarithm, "log10": self.logarithm,
            "log1p": lambda: [*self.logarithm(), self.uniform(-1, 2), self.signed(self.sizes(0, 1))],
            "sin": self.wave, "cos": self.wave, "tan": self.wave,
            "arcsin": self.unit, "arccos": self.unit, "arctanh": self.unit,
            "arccosh": lambda: [self.uniform(1, 3), self.sizes(1), self.near(1.0), self.edges(1.0, 2.0**60)],
            "erf": lambda: [self.uniform(-6.5, 6.5), self.uniform(-1.1, 1.1), self.signed(self.sizes(0, 1)), self.edges(1.0, 6.0)],
            "erfc": lambda: [self.uniform(-7, 28), self.uniform(-1, 1), self.signed(self.sizes(0, 1)), self.edges(0.47, 26.5)],
            "tanh": lambda: self.everywhere(0.625, 22.0, 10.0),
            "arctan": lambda: self.everywhere(0.5, 2.0),
            "arcsinh": lambda: self.everywhere(2.0**60),
            "cbrt": lambda: self.everywhere(1.0, 2.0, 4.0, 8.0, 27.0, self.tiny),
            "lgamma": lambda: [self.uniform(0, 12), self.sizes(), self.near(1.0, 2.0), self.uniform(-20, 0),
                               self.edges(0.65, 1.0, 2.0, 8.0, 0.25, 2.5)],
            "digamma": lambda: [self.uniform(0, 12), self.sizes(), self.near(1.4616321449683622), self.uniform(-20, 0),
                                self.edges(0.69, 1.4616321449683622, 10.0, 0.25, 2.5)],
        }  # fmt: skip
        if name in one:
            return (np.concatenate([x.astype(self.dtype).ravel() for x in [*one[name](), self.bits()]]),)
        spread = [self.uniform(-5, 5), self.signed(self.sizes()), self.signed(self.sizes(0.01, 100)), self.bits()]
        pairs = {
            "power": lambda: [(self.sizes(), self.uniform(-2, 2)), (self.uniform(0.5, 2), self.uniform(-1000, 1000)),
                              (self.sizes(1e-4, 1e4), self.uniform(-40, 40)), (self.near(1.0), self.signed(self.sizes(1, 1e13))),
                              (self.uniform(-5, 5), np.round(self.uniform(-40, 40))), (self.bits(), self.bits())],
            "logaddexp": lambda: [(self.uniform(-5, 30), self.uniform(-5, 30)), (self.signed(self.sizes()), self.uniform(-9, 9))],
        }.get(name, lambda: [(x, self.rng.permutation(y)) for x in spread for y in spread])  # fmt: skip
        columns = zip(*[[x.astype(self.dtype) for x in pair] for pair in pairs()])
        return tuple(np.concatenate(c) for c in columns)


# ---- what the functions are, to many digits ----


def reference(name, xs):
    """(high, low), two arrays of float64 whose sum is the value of the function to twice that precision."""
    import mpmath as mp

    if name == "fmod":  # C's is exact
        return np.array([math.fmod(float(x), float(y)) for x, y in zip(*xs)]), np.zeros(xs[0].shape)

    def softplus(x):
        return mp.log1p(mp.exp(x))

    def logaddexp(x, y):
        return max(x, y) + softplus(-abs(x - y))

    functions = {
        "exp2": lambda x: mp.mpf(2) ** x, "log2": lambda x: mp.log(x) / mp.log(2), "log10": lambda x: mp.log(x) / mp.log(10),
        "sigmoid": lambda x: 1 / (1 + mp.exp(-x)), "softplus": softplus, "logaddexp": logaddexp,
        "arcsin": mp.asin, "arccos": mp.acos, "arctan": mp.atan, "arctan2": mp.atan2, "arcsinh": mp.asinh, "arccosh": mp.acosh,
        "arctanh": mp.atanh, "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)), "lgamma": lambda x: mp.loggamma(x).real,
    }  # fmt: skip
    f = functions.get(name) or getattr(mp, name)
    high, low = np.empty(xs[0].shape), np.empty(xs[0].shape)
    # what cancels must leave enough: expm1 and log1p of the smallest numbers, tan next to a multiple of pi / 2
    with mp.workprec(170):
        for i, x in enumerate(zip(*xs)):
            exact = f(*(mp.mpf(float(v)) for v in x))
            high[i] = float(exact)
            low[i] = float(exact - mp.mpf(high[i])) if math.isfinite(high[i]) else 0.0
    return high, low


def defined(name, xs):
    """Where the reference can be asked: finite arguments inside the domain."""
    ok = np.logical_and.reduce([np.isfinite(x) for x in xs])
    with np.errstate(all="ignore"):
        x = xs[0].astype(np.float64)
        if name in ("log", "log2", "log10"):
            ok &= x > 0
        elif name == "log1p":
            ok &= x > -1
        elif name == "arccosh":
            ok &= x >= 1
        elif name in ("arcsin", "arccos"):
            ok &= abs(x) <= 1
        elif name == "arctanh":
            ok &= abs(x) < 1
        elif name in ("lgamma", "digamma"):
            ok &= (x > 0) | (x != np.floor(x)) & (x > -1e4)
        elif name == "power":
            ok &= (x > 0) | (x < 0) & (xs[1] == np.round(xs[1]))
            ok &= np.abs(xs[1] * np.log(np.abs(x))) < 1e5
        elif name == "logaddexp":
            ok &= np.abs(xs[0].astype(np.float64) - xs[1]) < 1e5
        elif name in ("exp", "exp2", "expm1", "sigmoid", "softplus", "sinh", "cosh", "erfc", "erf", "tanh"):
            ok &= abs(x) < 1e5
        elif name == "arctan2":
            ok &= (x != 0) & (xs[1] != 0)
        elif name == "fmod":
            ok &= xs[1] != 0
    return ok


def conditioned(name, xs, want):
    """The size that an error is compared with: the result's, but where a sum of larger terms cancels to it, theirs."""
    size = np.abs(want)
    with np.errstate(all="ignore"):
        if name == "logaddexp":
            size = np.maximum(size, np.abs(np.maximum(*xs)))
        elif name in ("lgamma", "digamma"):
            from scipy import special

            x = xs[0].astype(np.float64)
            term = special.gammaln(-x) if name == "lgamma" else special.digamma(1 - x)
            size = np.where(x < 0, np.maximum(size, np.abs(term)), size)
    return size


def ulps(got, high, low, size):
    """The error in units in the last place of `size`, in the dtype of `got`."""
    dtype = got.dtype.type
    with np.errstate(all="ignore"):
        unit = np.spacing(np.minimum(size.astype(dtype), np.finfo(dtype).max)).astype(np.float64)
        error = np.abs((got.astype(np.float64) - high) - low) / unit
        same = got == high.astype(dtype)
    return np.where(same & ~np.isfinite(got), 0.0, np.where(np.isnan(error), np.inf, error))


def samples(name, kind, n, seed=0):
    """(arguments, high, low, size) where the reference is defined."""
    xs = Points(kind, n, seed).of(name)
    ok = defined(name, xs)
    xs = tuple(x[ok] for x in xs)
    high, low = reference(name, xs)
    return xs, high, low, conditioned(name, xs, high)


def worst(function, sample):
    """(largest error in ulp, the arguments)."""
    xs, high, low, size = sample
    error = ulps(function(*xs), high, low, size)
    i = int(np.argmax(error))
    return float(error[i]), tuple(float(x[i]) for x in xs)


# ---- beside NumPy and SciPy ----

NAMES = [name for name in vecmath.FUNCTIONS if name != "gammaln"]


def peer(name):
    """What a NumPy user calls for the function."""
    from scipy import special

    others = {
        "sigmoid": special.expit, "softplus": lambda x, **how: np.logaddexp(x.dtype.type(0), x, **how),
        "erf": special.erf, "erfc": special.erfc, "lgamma": special.gammaln, "digamma": special.digamma,
    }  # fmt: skip
    return others.get(name) or getattr(np, name)


def speed(bench):
    """Nanoseconds an element, 4096 of them in the cache, vectors of 8 float64 or 16 float32."""
    rng = np.random.default_rng(0)
    n = 4096
    rows = []
    for name in NAMES:
        arity = vecmath.FUNCTIONS[name][1]
        low = {"arccosh": 1.0, "power": 0.1}.get(name, 0.0)
        contenders = {}
        for kind, width in (("double", 8), ("float", 16)):
            xs = [rng.uniform(low, low + 0.99, n).astype(DTYPES[kind]) for _ in range(arity)]
            out = np.empty_like(xs[0])
            run = compiled(name, kind, width, has_fma()).run
            pointers = [out.ctypes.data, *(x.ctypes.data for x in xs)]
            contenders[kind] = lambda run=run, pointers=pointers, keep=(xs, out): run(*pointers, n)
            contenders[f"{kind} NumPy"] = functools.partial(peer(name), *xs, out=out)
        cpu = {key: float(np.median(cpu)) / n * 1e9 for key, (cpu, _) in bench.turns(contenders).items()}
        text = ", ".join(
            f"{label} {cpu[key]:.2f} ns ({cpu[key + ' NumPy'] / cpu[key]:.1f} times NumPy or SciPy)"
            for key, label in (("double", "float64"), ("float", "float32"))
        )
        rows.append((name, text, cpu["double"]))
    bench.facts("vector mathematics: time an element", rows)


def accuracy(bench):
    """The largest errors found, in ulp."""
    rows = []
    for line in table(100 if bench.quick else 1000):
        name, *errors = line
        text = "float64 {:.2f} (without fma {:.2f}, NumPy or SciPy {:.2f}), float32 {:.2f} ({:.2f}, {:.2f})".format(
            *errors
        )
        rows.append((name, text, max(errors[0], errors[1], errors[3], errors[4])))
    bench.facts("vector mathematics: largest error in ulp", rows, [("largest", max(r[2] for r in rows), 2.5)])


def table(n):
    """Rows (name, float64 with fma, without, NumPy's, float32 with, without, NumPy's)."""
    for name in NAMES:
        errors = []
        for kind in DTYPES:
            sample = samples(name, kind, n)
            for fma in (has_fma(), False):
                errors.append(worst(compiled(name, kind, 8, fma), sample)[0])
            with np.errstate(all="ignore"):
                errors.append(worst(peer(name), sample)[0])
        yield name, *errors


WORKLOADS = {"vecmath_speed": speed, "vecmath_accuracy": accuracy}

PAGE = """# Vector mathematics

Compiled code calls no mathematical library. `adjoint/compiler/native/vecmath/` writes `exp`, `sin`, `power` and the others as
LLVM IR for vectors of any width: polynomials and rational functions fitted by `scripts/fit_vecmath.py`, arguments reduced
so that no digit is lost, signed zeros, infinities, NaN and subnormal numbers as C has them. CPUs without fused multiply-add
take another path, with exact products made of halves.

The largest error found, in units in the last place (0.5 is the best there is), over the whole domain: all magnitudes, random
bits, and the neighbourhood of each place where a formula changes, {points} points a function. NumPy's and SciPy's errors
are on the same points. The truth is mpmath's.

| function | float64 | without fma | NumPy, SciPy | float32 | without fma | NumPy, SciPy |
|---|---|---|---|---|---|---|
{rows}

For `logaddexp`, and for `lgamma` and `digamma` of negative numbers, the error is in units of the larger term: the result is
a difference there, and near its zeros an error in the last place of the argument does as much. `fmod` is exact.

`python -m benchmarks.vecmath` measures and writes this page; `python dev.py bench --only vecmath_speed` measures time.
"""


def write_page(n):
    lines = []
    for name, *errors in table(n):
        figures = " | ".join(f"{e:.2f}" if e < 1000 else f"{e:.0e}" for e in errors)
        lines.append(f"| `{name}` | {figures} |")
        print(lines[-1], flush=True)
    text = PAGE.format(rows="\n".join(lines), points=f"{4 * n:,} to {16 * n:,}")
    (Path(__file__).parent.parent / "docs" / "vector-math.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_page(3000)
