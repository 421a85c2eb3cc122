"""What a workload is: a plain NumPy program, its data, and what each peer needs to run it at its best.

A file of benchmarks/programs/ holds one workload (or a few near relatives) in a list PROGRAMS. Knows no library: how a
program is differentiated by each is in contenders.py, how it is measured in suite.py.
"""

import importlib
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Program:
    """One workload. `f(*args)` is ordinary NumPy text; the first `wrt` arguments are differentiated.

    make(size) gives the arguments in float64; `dims(size)` the integers that the C++ by hand takes. `transform` is what
    is asked for: value_and_grad, jacobian, hessian or hvp (whose last argument is the vector).

    rewrites: {library or row: builder of a function with f's arguments}, for libraries that cannot run the text as it
    stands or run it badly. unrolls: libraries that accept the text and unroll its loops into a graph that takes minutes
    to compile; it is tried only with --as-written, in a process of its own. too_long: rows whose rewrite does that too.
    ours: the text uses adjoint itself, so that nobody else can run it as written. derive: {library: builder of the whole
    derivative} where it is more than one transform. without: {library: why it is left out}.
    """

    name: str
    f: Callable
    make: Callable
    sizes: tuple
    quick: tuple
    wrt: int = 1
    dtypes: tuple = ("float64",)
    transform: str = "value_and_grad"
    check: str = "complex"  # how the gradient is found without derivative code: complex, longdouble or difference
    check_with: Callable | None = None  # the function to check with, where the program's storage is real only
    reference: Callable | None = None  # (*args) -> the results in closed form, instead
    native: str = ""  # the C++ function by hand
    dims: Callable = lambda size: [size]
    rewrites: dict = field(default_factory=dict)
    unrolls: tuple = ()
    too_long: tuple = ()
    ours: bool = False
    derive: dict = field(default_factory=dict)
    without: dict = field(default_factory=dict)
    numba: Callable | None = None
    casadi: Callable | None = None  # (casadi, *symbols) -> the value
    kernels: dict = field(default_factory=dict)  # further hand-written rows: {name: builder of function(*args)}
    blas: bool = False  # dominated by BLAS or LAPACK: parity is the goal
    rtol: float = 1e-8
    most: float = 3.0  # the goal for gradient over function

    def title(self, size, dtype="float64"):
        size = "x".join(f"{n:g}" for n in size) if isinstance(size, tuple) else f"{size:g}"
        return f"{self.name} {size}" + ("" if dtype == "float64" else f" {dtype}")

    def data(self, size, dtype="float64"):
        """The arguments; floating ones in `dtype`."""
        args = self.make(size)
        return Args(size, (a.astype(dtype) if _is_float64(a) else a for a in args))


class Args(tuple):
    """Arguments that remember the size they were made for."""

    def __new__(cls, size, values):
        self = super().__new__(cls, values)
        self.size = size
        return self

    def double(self):
        """The same numbers in float64: what a reference is computed from."""
        return Args(self.size, (a.astype(np.float64) if getattr(a, "dtype", None) == np.float32 else a for a in self))


def _is_float64(a):
    return isinstance(a, np.ndarray) and a.dtype == np.float64


def load(name):
    """The programs of a file of benchmarks/programs/."""
    return importlib.import_module(f"benchmarks.programs.{name}").PROGRAMS


def rebind(f, **names: Any):
    """f and the functions of its module that it calls, reading other modules under the names `np`, `special`, ...

    So a peer runs the very text that NumPy runs.
    """
    known = f.__globals__  # its module's, unless it is such a copy itself
    scope = {**known, **{name: value for name, value in names.items() if name in known}}
    for name, value in known.items():
        if isinstance(value, types.FunctionType) and value.__module__ == f.__module__:
            scope[name] = copy = types.FunctionType(value.__code__, scope, name, value.__defaults__, value.__closure__)
            copy.__kwdefaults__ = value.__kwdefaults__
            copy.__module__ = value.__module__
    return scope[f.__name__]


def flat(result):
    """A nest of results of any library as a list of NumPy arrays."""
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in flat(part)]
    return [np.asarray(result.detach() if hasattr(result, "detach") else result)]


# ---- references ----


def reference(program, args, candidates):
    """The results that every contender must give: (arrays, where they come from).

    candidates: pairs (name, function without arguments); the first whose gradient agrees with derivatives of the
    function along random directions, taken without derivative code, is the reference for all.
    """
    if program.reference is not None:
        return flat(program.reference(*args)), "closed form"
    errors = []
    for name, call in candidates:
        try:
            got = [np.array(a) for a in flat(call())]
            probe(program, args, got)
        except Exception as error:
            errors.append(f"{name}: {type(error).__name__}: {str(error).strip()[:120]}")
        else:
            return got, f"{name}, which has the derivatives along random directions by {program.check}"
    raise AssertionError("nobody gives a gradient that agrees with the directional derivatives: " + "; ".join(errors))


def probe(program, args, got):
    """Raise unless value and gradients agree with the plain program's along random directions."""
    rng = np.random.default_rng(99)
    xs, rest = args[: program.wrt], args[program.wrt :]
    value = np.asarray(program.f(*args)) if program.transform == "value_and_grad" else None
    rtol = max(program.rtol, {"complex": 1e-10, "longdouble": 1e-9, "difference": 1e-6}[program.check])
    if value is not None:
        close(got[0], value, rtol, "value")
        got = got[1:]
    for _ in range(3 if sum(np.size(x) for x in xs) < 10**6 else 1):
        vs = [rng.normal(size=np.shape(x)) for x in xs]
        want = along(program, xs, vs, rest)
        have, scale = 0.0, 0.0
        for g, v in zip(got, vs, strict=True):
            axes = np.ndim(v)
            have = have + (np.tensordot(np.asarray(g, dtype=np.float64), v, axes))
            scale = max(scale, float(np.sqrt(np.square(g, dtype=np.float64).sum())))
        if not np.all(np.abs(have - want) <= rtol * (np.abs(want) + scale)):
            raise AssertionError(f"derivative along a random direction {have}, not {want}")


def along(program, xs, vs, rest):
    """The derivative of f at xs along vs, without derivative code."""
    f = program.check_with or program.f
    if program.check == "complex":
        zs = [np.asarray(x + 1e-30j * v) for x, v in zip(xs, vs, strict=True)]
        return np.imag(f(*zs, *rest)) * 1e30
    if program.check == "longdouble":
        kind, h = np.longdouble, np.longdouble(1e-6)
        rest = [a.astype(kind) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in rest]
    else:
        kind, h = np.float64, 1e-6
    xs, vs = [np.asarray(x, kind) for x in xs], [np.asarray(v, kind) for v in vs]

    def at(step):
        return f(*[(x + step * v)[()] for x, v in zip(xs, vs, strict=True)], *rest)

    # the five-point formula: the error is of fourth order in h
    return np.float64((8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h))


def close(got, want, rtol, what="result"):
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        raise AssertionError(f"{what}: shape {got.shape}, not {want.shape}")
    scale = np.abs(want).max() if want.size else 0
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * scale, err_msg=what)
