"""Each library's way to run a program: as its documentation recommends, at the best setting found.

`contenders(program, args)` yields (name of the row, builder). A builder returns a function without arguments that
computes the derivative, natively and to the end (asynchronous libraries are waited for), or raises `Refused` or whatever the
library raises: that is shown.
"""

import math
import os
import signal
import sys
import time
import types
import warnings
from functools import cache, partial

import numpy as np

from . import alone, native
from .harness import installed
from .program import flat, rebind

JIT, EAGER, VALUE = "adjoint jit", "adjoint eager", "adjoint jit, value only"
CPP, FAST = native.FLAGS  # the rows of the two builds
REWRITTEN = ", rewritten"
PEERS = ("JAX jit", "torch eager", "torch.func", "torch.compile", "autograd", "CasADi", "MindSpore jit")
INTERPRETERS = ("torch eager", "torch.func", "autograd")  # they walk through a loop op by op
OTHERS = {
    "JAX jit": "jax",
    "torch eager": "torch",
    "torch.func": "torch",
    "torch.compile": "torch",
    "autograd": "autograd",
    "CasADi": "casadi",
    "MindSpore jit": "mindspore",
}


class Refused(Exception):
    """This contender does not run the program; the text says why."""


def contenders(program, args):
    """Pairs (row, builder), ours first."""
    yield JIT, partial(jit, program, args)
    if program.transform == "value_and_grad" and "adjoint" not in program.derive:
        yield VALUE, partial(jit, program, args, value_only=True)
    yield EAGER, partial(eager, program, args)
    if program.native:
        for variant in native.FLAGS:
            yield variant, partial(cpp, program, args, variant)
    for row, library in OTHERS.items():
        if row == "CasADi":
            if program.casadi is not None and installed("casadi"):
                yield row, partial(casadi, program, args)
        elif row == "MindSpore jit":
            plainly = program.transform == "value_and_grad" and not program.derive and not program.ours
            if installed(library) and plainly and not _single(args):
                yield row, Apart(partial(mindspore_jit, program, args))
        elif installed(library):
            build = BUILDERS[row]
            by_func = program.transform != "value_and_grad" and library not in program.derive
            if row == ("torch eager" if by_func else "torch.func") and (by_func or "torch" in program.derive):
                continue  # it would be the same twice
            if library in program.without:
                yield row, partial(_refuse, program.without[library])
                continue
            if library not in program.derive and not program.ours:
                late = row in ("JAX jit", "torch.compile") and library in program.unrolls
                written = partial(build, program, args, program.f)
                yield row, Late(written) if late else written
            rewrite = program.rewrites.get(row, program.rewrites.get(library))
            if row in program.too_long:
                yield row + REWRITTEN, Late(partial(build, program, args, rewrite))
            elif rewrite is not None or library in program.derive:
                yield row + REWRITTEN, partial(build, program, args, rewrite)
    for name, build in program.kernels.items():
        yield name, partial(_by_hand, build, args)
    if program.numba is not None and installed("numba"):
        yield "numba, by hand", partial(_by_hand, program.numba, args)


class Late:
    """A builder whose compiler would take minutes: `build` is for a process with a time limit (apart.py)."""

    def __init__(self, build):
        self.build = build

    def __call__(self):
        raise Refused("unrolls the loop: minutes to compile (--as-written tries it)")


class Apart(Late):
    """A builder for a process of its own in any case: its library takes long to import and disturbs the others."""


def _single(args):
    return any(getattr(a, "dtype", None) == np.float32 for a in args)


def _refuse(why):
    raise Refused(why)


def _by_hand(build, args):
    f = build()
    return lambda: f(*args)


def warm_up(libraries=("jax", "torch", "autograd", "numba", "casadi", "adjoint")):
    """Import what is there and compile something small with it, so that no workload's first call pays for that."""
    x = np.ones(2)
    libraries = [library for library in libraries if library == "adjoint" or installed(library)]
    if "jax" in libraries:
        jax = _jax()
        jax.block_until_ready(jax.jit(jax.grad(lambda x: jax.numpy.sum(x * x)))(x))
    if "torch" in libraries:
        torch, _ = _torch()
        leaf = torch.tensor(x, requires_grad=True)
        torch.autograd.grad((leaf * leaf).sum(), [leaf])
        torch.func.grad(lambda x: (x * x).sum())(leaf.detach())
    if "autograd" in libraries:
        import autograd
        import autograd.numpy
        import autograd.scipy.special

        autograd.grad(lambda x: autograd.numpy.sum(x * x))(x)
    if "numba" in libraries:
        import numba

        numba.njit(lambda x: x[0])(x)
    if "casadi" in libraries:
        import casadi  # noqa: F401
    if "adjoint" in libraries:
        import adjoint as ad

        ad.grad(lambda x: np.sum(x * x))(x)
        ad.jit(ad.grad(lambda x: np.sum(np.exp(x) * x)))(x)


# ---- adjoint ----


def differentiated(ad, program, f):
    """adjoint's derivative of f as the program asks for it: the same text eager and compiled."""
    if "adjoint" in program.derive:
        return program.derive["adjoint"](ad)
    if program.transform == "value_and_grad":
        return ad.value_and_grad(f, argnums=0 if program.wrt == 1 else tuple(range(program.wrt)))
    return {"jacobian": ad.jacobian, "hessian": ad.hessian, "hvp": ad.hvp}[program.transform](f)


def eager(program, args):
    import adjoint as ad

    g = differentiated(ad, program, program.f)
    try:
        g(*args)
    except Exception as error:
        # an array that the program makes and fills: eager code asks for adjoint's
        g = differentiated(ad, program, rebind(program.f, np=ad.numpy))
        try:
            g(*args)
        except Exception:
            raise error from None
    return lambda: g(*args)


def jit(program, args, value_only=False):
    import adjoint as ad

    if not hasattr(ad, "jit"):
        raise Refused("adjoint.jit is not there yet")

    def build():
        return Jitted(ad.jit(program.f if value_only else differentiated(ad, program, program.f)), args)

    survives(build)
    return build()


class Jitted:
    """A compiled function with its arguments; `note()` says if it is not native after all."""

    def __init__(self, g, args):
        self.g, self.args = g, args
        self.quick = lambda: g(*args)

    def __call__(self):
        return self.g(*self.args)

    def note(self):
        code = self.g.lower(*self.args)
        return code.removeprefix("; ")[:200] if code.startswith("; not native") else ""

    def kernel(self):
        """Its native code without the call from Python, once it has been called; None if there is none."""
        try:
            kernel = alone.Kernel(self.g, self.args)
        except LookupError:
            return None
        kernel.inside(1)
        for ours, want in zip(kernel.outs, flat(self()), strict=True):
            np.testing.assert_array_equal(ours, want)
        return kernel


def survives(build, seconds=300):
    """Build and call it once in a copy of this process first: native code that crashes would take the whole run along."""
    if not hasattr(os, "fork"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Python warns that other libraries' threads are not copied: the child needs none
        child = os.fork()
    if not child:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            build()()
        except BaseException:  # the parent meets it again, and shows it
            pass
        finally:
            os._exit(0)
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError(f"no result after {seconds} s")
        time.sleep(0.01)
    if os.WIFSIGNALED(status):
        raise RuntimeError(f"the process dies: {signal.Signals(os.WTERMSIG(status)).name}")


# ---- C++ ----


def cpp(program, args, variant):
    loaded = native.library(variant)
    if loaded is None:
        raise Refused("no C++ compiler")
    dtype = np.float32 if any(isinstance(a, np.ndarray) and a.dtype == np.float32 for a in args) else np.float64
    arrays = [np.asarray(a, dtype) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in args]
    outputs = [np.zeros(shape, dtype) for shape in result_shapes(program, arrays)]
    return native.Call(loaded, program.native, arrays, outputs, program.dims(args.size))


def result_shapes(program, args):
    """The shapes of what a derivative returns."""
    if program.reference is not None:
        return [np.shape(a) for a in flat(program.reference(*args))]
    return [(), *(np.shape(a) for a in args[: program.wrt])]


# ---- JAX ----


@cache
def _jax():
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def jax_transform(jax, program, f):
    if program.transform == "value_and_grad":
        return jax.value_and_grad(f, argnums=tuple(range(program.wrt)))
    if program.transform == "hvp":
        return lambda x, v: jax.jvp(jax.grad(f), (x,), (v,))[1]
    return {"jacobian": jax.jacrev, "hessian": jax.hessian}[program.transform](f)


def jax_jit(program, args, f):
    jax = _jax()
    if f is program.f:
        f = rebind(f, np=jax.numpy, special=jax.scipy.special, math=jax.numpy, grad=jax.grad)
    elif f is not None:
        f = f()
    if "jax" in program.derive:
        g = program.derive["jax"](jax)
    else:
        g = jax_transform(jax, program, f)
    g = jax.jit(g)
    xs = [jax.numpy.asarray(a) for a in args]
    wait = jax.block_until_ready
    return lambda: wait(g(*xs))


# ---- PyTorch ----


@cache
def _torch():
    """torch and a module that has NumPy's names: so that it can run NumPy's text."""
    import torch

    torch.set_num_threads(1)
    shim = types.ModuleType("torch_as_numpy")
    for name in dir(torch):
        if not name.startswith("_"):
            setattr(shim, name, getattr(torch, name))
    float64 = torch.float64

    def scalars(function):
        def call(a, b):
            if not isinstance(a, torch.Tensor):
                a = torch.as_tensor(a, dtype=b.dtype)
            if not isinstance(b, torch.Tensor):
                b = torch.as_tensor(b, dtype=a.dtype)
            return function(a, b)

        return call

    def array(data, dtype=None):
        if isinstance(data, (list, tuple)):
            return torch.stack([d if isinstance(d, torch.Tensor) else torch.as_tensor(d, dtype=float64) for d in data])
        return torch.as_tensor(data, dtype=float64)

    shim.max, shim.min = torch.amax, torch.amin
    shim.max = lambda x, axis=None, keepdims=False: (
        torch.max(x) if axis is None else torch.amax(x, dim=axis, keepdim=keepdims)
    )
    shim.min = lambda x, axis=None, keepdims=False: (
        torch.min(x) if axis is None else torch.amin(x, dim=axis, keepdim=keepdims)
    )
    shim.sum = lambda x, axis=None, keepdims=False: (
        torch.sum(x) if axis is None else torch.sum(x, dim=axis, keepdim=keepdims)
    )
    shim.mean = lambda x, axis=None: torch.mean(x) if axis is None else torch.mean(x, dim=axis)
    shim.maximum, shim.minimum = scalars(torch.maximum), scalars(torch.minimum)
    shim.logaddexp = scalars(torch.logaddexp)
    shim.zeros = lambda shape, dtype=float64: torch.zeros(shape, dtype=dtype)
    shim.ones = lambda shape, dtype=float64: torch.ones(shape, dtype=dtype)
    shim.eye = lambda n: torch.eye(n, dtype=float64)
    shim.concatenate = torch.cat
    shim.array = array
    shim.sqrt = lambda x: torch.sqrt(x) if isinstance(x, torch.Tensor) else math.sqrt(x)
    shim.linalg = torch.linalg
    shim.pad = lambda x, width: torch.nn.functional.pad(x, [n for pair in reversed(width) for n in pair])
    shim.copy = torch.clone
    return torch, shim


def torch_as_numpy():
    return _torch()[1]


def _torch_function(program, f):
    torch, shim = _torch()
    if f is program.f:
        return rebind(f, np=shim, special=torch.special, math=shim, grad=torch.func.grad)
    return f and f()


def _torch_args(args):
    torch, _ = _torch()
    return [torch.tensor(a) if isinstance(a, np.ndarray) else torch.tensor(a, dtype=torch.float64)
            if isinstance(a, float) else a for a in args]  # fmt: skip


def torch_transform(torch, program, f):
    if program.transform == "value_and_grad":
        g = torch.func.grad_and_value(f, argnums=tuple(range(program.wrt)))

        def value_and_grad(*xs):
            grads, value = g(*xs)
            return value, grads

        return value_and_grad
    if program.transform == "hvp":
        return lambda x, v: torch.func.jvp(torch.func.grad(f), (x,), (v,))[1]
    return {"jacobian": torch.func.jacrev, "hessian": torch.func.hessian}[program.transform](f)


def torch_eager(program, args, f):
    torch, _ = _torch()
    f, xs = _torch_function(program, f), _torch_args(args)
    if "torch" in program.derive:
        g = program.derive["torch"](torch)
        return lambda: g(*xs)
    leaves = [x.requires_grad_() for x in xs[: program.wrt]]

    def value_and_grad():
        y = f(*xs)
        return y, torch.autograd.grad(y, leaves)

    return value_and_grad


def torch_func(program, args, f):
    torch, _ = _torch()
    f, xs = _torch_function(program, f), _torch_args(args)
    g = torch_transform(torch, program, f)
    return lambda: g(*xs)


def torch_compile(program, args, f):
    torch, _ = _torch()
    f, xs = _torch_function(program, f), _torch_args(args)
    torch._dynamo.reset()
    torch._inductor.config.force_disable_caches = True  # the time to compile is measured
    torch._inductor.config.compile_threads = 1
    g = program.derive["torch"](torch) if "torch" in program.derive else torch_transform(torch, program, f)
    g = torch.compile(g, dynamic=False)
    return lambda: g(*xs)


# ---- HIPS autograd ----


def autograd(program, args, f):
    import autograd
    import autograd.numpy
    import autograd.scipy.special

    if "autograd" in program.derive:
        g = program.derive["autograd"](autograd)
        return lambda: g(*args)
    if f is program.f:
        f = rebind(f, np=autograd.numpy, special=autograd.scipy.special, math=autograd.numpy, grad=autograd.grad)
    else:
        f = f()
    if program.transform == "value_and_grad":
        g = autograd.value_and_grad(f, argnum=tuple(range(program.wrt)))
    elif program.transform == "hvp":
        g = autograd.hessian_vector_product(f)
    else:
        g = {"jacobian": autograd.jacobian, "hessian": autograd.hessian}[program.transform](f)
    return lambda: g(*args)


# ---- CasADi ----


def casadi(program, args):
    """Value and gradients as one SX function, called through its buffers: the quickest way it has."""
    import casadi as ca

    dims = [np.shape(a) for a in args]
    if any(len(d) > 2 for d in dims):
        raise Refused("arrays of more than two dimensions")
    symbols = [ca.SX.sym(f"x{k}", *(d or (1, 1))) for k, d in enumerate(dims)]
    value = program.casadi(ca, *symbols)
    if program.transform == "value_and_grad":
        results = [value, *(ca.gradient(value, x) for x in symbols[: program.wrt])]
    elif program.transform == "hessian":
        results = [ca.hessian(value, symbols[0])[0]]
    elif program.transform == "hvp":
        results = [ca.jtimes(ca.gradient(value, symbols[0]), symbols[0], symbols[1])]
    else:
        results = [ca.jacobian(value, symbols[0])]
    function = ca.Function("f", symbols, [ca.densify(r) for r in results])
    buffer, trigger = function.buffer()
    ins = [np.asfortranarray(np.asarray(a, np.float64)) for a in args]
    shapes = [d if k or program.transform != "value_and_grad" else () for k, d in enumerate([(), *dims])]
    outs = []
    for k, r in enumerate(results):
        shape = shapes[k] if program.transform == "value_and_grad" else tuple(n for n in r.shape if n > 1)
        outs.append(np.zeros(shape, order="F"))
    for k, a in enumerate(ins):
        buffer.set_arg(k, memoryview(a.reshape(-1, order="F")))
    for k, a in enumerate(outs):
        buffer.set_res(k, memoryview(a.reshape(-1, order="F")))

    def call(keep=(function, buffer, ins)):
        trigger()
        return outs

    return call


# ---- MindSpore ----


def mindspore_jit(program, args):
    """The text as written over mindspore.numpy, with loops and branches compiled. For a process of its own."""
    os.environ.setdefault("GLOG_v", "3")  # errors only
    import mindspore as ms
    import mindspore.numpy as mnp

    ms.set_device("CPU")
    if not hasattr(mnp, "linalg"):  # its norm has NumPy's arguments, but stands elsewhere
        mnp.linalg = sys.modules["mindspore.numpy.linalg"] = types.ModuleType("mindspore.numpy.linalg")
        mnp.linalg.norm = mnp.norm
    f = rebind(program.f, np=mnp, math=mnp)
    # its parser looks names up in the module that a function names, not in the function's own globals
    module = types.ModuleType(f"{program.f.__module__}_mindspore")
    module.__dict__.update(f.__globals__)
    sys.modules[module.__name__] = module
    for value in f.__globals__.values():
        if isinstance(value, types.FunctionType) and value.__module__ == program.f.__module__:
            value.__module__ = module.__name__
    g = ms.jit(ms.value_and_grad(f, grad_position=tuple(range(program.wrt))))
    xs = [
        ms.Tensor(a, ms.float64) if isinstance(a, float) else ms.Tensor(a) if isinstance(a, np.ndarray) else a
        for a in args
    ]
    return lambda: [leaf.asnumpy() for leaf in _leaves(g(*xs))]  # asynchronous: this waits


def _leaves(nest):
    return [leaf for part in nest for leaf in _leaves(part)] if isinstance(nest, (tuple, list)) else [nest]


BUILDERS = {
    "JAX jit": jax_jit,
    "torch eager": torch_eager,
    "torch.func": torch_func,
    "torch.compile": torch_compile,
    "autograd": autograd,
}
