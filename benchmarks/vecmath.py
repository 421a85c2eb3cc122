"""Vector mathematics: nanoseconds an element, and the largest error, beside NumPy and SciPy."""

import ctypes
import functools
from types import SimpleNamespace

import numpy as np

from adjoint.compiler.native import vecmath

DTYPES = {"double": np.float64, "float": np.float32}
FLAGS = "nounwind"


# ---- a loop over arrays, compiled ----


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
