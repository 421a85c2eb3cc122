"""From LLVM IR text to machine code in memory: `host`, `assemble`, `load`. Knows llvmlite; knows nothing of graphs or NumPy.

The text holds explicit vectors already, so LLVM's own vectorisers are off: they are most of the compile time and find nothing to do.
Addresses of the process (C functions, BLAS) never stand in the text. They are external symbols, defined when the object
code is linked, so that object code can be kept on disk and used by the next process (cache.py).
"""

import atexit
import functools
import itertools
import os
import re
import sys
from typing import Any, NamedTuple

from ...core.config import config
from ...core.errors import AdjointError
from . import cache

FORMAT = 3  # part of the key of cached object code: raise it when the pipeline or the linking below changes
# (level of the optimiser, level of code generation), 0 to 3
# O2 and O3 cost up to half as much again for the same run time, given explicit vectors; O0 a third less, for up to 1.4 times the run
# time. Generation at 3 gives the same code as at 2; at 1 it saves a tenth, and does not schedule for latency.
USUAL = (1, 2)
LARGE = 1000, (1, 1)  # lines of text from which on generation is at 1: the time of scheduling for latency grows faster than they
# ... and at 0: that of giving registers to thousands of values at once does even more. Of 44,000 lines, second derivatives of an orbit,
# LLVM takes a quarter of the time, and they run as quickly; of 9,000 lines it takes half, and they run 1.7 times as long.
HUGE = 25_000, (1, 0)
STRAIGHT = 20  # text of which no more than one part in so many is in loops: the look at results that may be NaN is one
# A library that is unloaded leaves 10 KB in its engine; a full engine dies with its last library.
LIBRARIES_PER_ENGINE = 256


class CodeError(AdjointError, RuntimeError):
    """Generated code that LLVM refuses, or that cannot be linked: a fault of the compiler, not of the user's function."""


class Host(NamedTuple):
    """The machine that code is made for."""

    cpu: str
    features: str
    fma: bool  # fused multiply-add in hardware
    triple: str
    width_bits: int  # of the widest vector registers
    layout: str  # LLVM's data layout
    version: str  # of llvmlite and LLVM


@functools.cache
def _binding():
    """llvmlite.binding, imported when first needed, with the host as target."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def _machine(generate=USUAL[1]):
    """The target machine: code for exactly this CPU, at addresses that may be anywhere."""
    llvm = _binding()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=generate,
        reloc="pic",
        # On Windows only ELF objects with 64-bit addresses can be linked in memory: that is what llvmlite's jitdefault means there
        codemodel="jitdefault" if os.name == "nt" else "default",
        jit=True,
    )


@functools.cache
def host() -> Host:
    """The CPU that code is made for."""
    import llvmlite

    llvm = _binding()
    features = llvm.get_host_cpu_features()
    machine = _machine()
    if features.get("avx512f"):
        width = 512
    elif features.get("avx2"):
        width = 256
    else:
        width = 128
    arm = machine.triple.startswith(("aarch64", "arm64"))
    return Host(
        cpu=llvm.get_host_cpu_name(),
        features=features.flatten(),
        fma=arm or bool(features.get("fma")),
        triple=machine.triple,
        width_bits=width,
        layout=str(machine.target_data),
        version=f"{llvmlite.__version__} LLVM {'.'.join(map(str, llvm.llvm_version_info))}",
    )


def assemble(module, kernel_text: str) -> str:
    """The whole IR text: target, declarations, helper functions, kernel. `module` has dicts `functions` and `declarations`."""
    target = host()
    declarations = [text for symbol, text in module.declarations.items() if symbol not in module.functions]
    head = f'target triple = "{target.triple}"\ntarget datalayout = "{target.layout}"\n'
    return "\n\n".join([head, "\n".join(declarations), *module.functions.values(), kernel_text]) + "\n"


class _Handle(int):
    """The number of a library in `_live`. Unloads it when it dies.

    Not seen by the garbage collector, on purpose: an object that it sees is finalized as soon as it is part of a garbage
    cycle, while a `__del__` of the user's in the same cycle may still call the code.
    """

    __slots__ = ()

    def __del__(self):
        live = _live
        if live is not None:  # at the end of the process nothing is unloaded: somebody may still call
            live.pop(int(self), None)


_live: dict | None = {}  # number of a library -> LLVM's tracker of it, which unloads the code when it is collected
_numbers = itertools.count(1)


@atexit.register
def _keep_all():
    """Let no code vanish while the interpreter goes down, module by module, in no certain order."""
    global _live
    left, _live = _live, None
    for tracker in (left or {}).values():
        tracker.detach()
    for engine, _ in _engine:
        engine.detach()


class Loaded:
    """Machine code in memory, until this object dies. `keep`: a list of whatever the code needs alive."""

    __slots__ = ("_addresses", "handle", "keep")

    def __init__(self, handle, addresses):
        self.handle = handle
        self._addresses = addresses
        self.keep: list[Any] = []

    def address(self, name: str) -> int:
        """The address of a function or variable that the text defines."""
        return self._addresses[name]


_engine: list = []  # the engine in use and the count of its libraries; engines stay alive through their libraries' trackers


def _current_engine():
    llvm = _binding()
    if not _engine or _engine[0][1] >= LIBRARIES_PER_ENGINE:
        _engine[:] = [[llvm.create_lljit_compiler(use_jit_link=True, suppress_errors=True), 0]]
    _engine[0][1] += 1
    return _engine[0][0]


# `define [...] @name(` and `@name = [...] global`, unless internal: what can be asked for by address
_DEFINED = re.compile(
    r'^(?:define\b(?![^@\n]*\b(?:internal|private|linkonce\w*|available_externally)\b)[^@\n]*@(?P<f>"[^"\n]+"|[\w.$-]+)\s*\('
    r'|@(?P<v>"[^"\n]+"|[\w.$-]+)\s*=\s*(?:dso_local\s+)?global\b)',
    re.MULTILINE,
)
_DECLARED = re.compile(
    r'^(?:declare\b[^@\n]*@(?P<f>"[^"\n]+"|[\w.$-]+)\s*\(|@(?P<v>"[^"\n]+"|[\w.$-]+)\s*=\s*external\b)', re.MULTILINE
)


_BLOCKS = re.compile(r"^(?:  br (?P<jump>.*)|(?P<define>define)\b|(?P<here>[\w.]+):)", re.MULTILINE)


def _straight(text):
    """Whether next to nothing of a text is in loops, before a jump that goes back, or puts numbers into vectors, which LLVM tidies up."""
    if text.count("= insertelement") * STRAIGHT > text.count("\n"):
        return False
    seen: dict = {}
    inside = 0
    for m in _BLOCKS.finditer(text):
        if m["define"]:
            seen.clear()
        elif m["here"]:
            seen[m["here"]] = m.start()
        else:
            for there in re.findall(r"label %([\w.]+)", m["jump"]):
                inside += m.end() - seen.get(there, m.end())
    return inside * STRAIGHT < len(text)


def _names(pattern, text):
    return [(m["f"] or m["v"]).strip('"') for m in pattern.finditer(text)]


def load(ir_text: str, symbols: dict[str, int] | None = None, key_extra: str = "", effort=None) -> Loaded:
    """Compile IR text, or take its object code from the cache, and link it with `symbols` (name -> address).

    Declared functions that are not in `symbols` are looked for in the process (memcpy and the like).
    """
    symbols = symbols or {}
    if effort is None:
        lines = ir_text.count("\n")
        effort = next((how for least, how in (HUGE, LARGE) if lines >= least), USUAL)
    if config.debug >= 7:
        print(ir_text, file=sys.stderr)
    target = host()
    key = cache.key(ir_text, key_extra, target.cpu, target.features, target.version, str((FORMAT, effort)), _version())
    code = cache.get(key)
    defined, declared = _names(_DEFINED, ir_text), _names(_DECLARED, ir_text)
    if code is not None:
        return _link(code, symbols, defined, declared)
    code = compile_object(ir_text, effort)
    loaded = _link(code, symbols, defined, declared)
    cache.put(key, code)  # after linking: what cannot be linked is not kept
    return loaded


def _version():
    """This package's version, from below it: the top package must not be imported here."""
    return getattr(sys.modules.get(__name__.partition(".")[0]), "__version__", "")


def compile_object(ir_text: str, effort=USUAL) -> bytes:
    """IR text to object code for this CPU."""
    with _module(ir_text, effort) as module:
        return _machine(effort[1]).emit_object(module)


def optimized(ir_text: str, effort=USUAL) -> str:
    """The IR text that the optimiser makes of IR text."""
    with _module(ir_text, effort) as module:
        return str(module)


def _module(ir_text, effort):
    """LLVM's own form of IR text, verified and optimised."""
    llvm = _binding()
    try:
        module = llvm.parse_assembly(ir_text)
        module.verify()
    except RuntimeError as error:
        raise CodeError(_refused(ir_text, str(error))) from None
    tuning = llvm.create_pipeline_tuning_options(speed_level=effort[0])
    tuning.loop_vectorization = False
    tuning.slp_vectorization = False
    tuning.loop_interleaving = False
    passes = llvm.create_pass_builder(_machine(effort[1]), tuning)
    if effort[0] == 0:
        passes.getModulePassManager().run(module, passes)
        return module
    # LLVM's own order of passes goes over each function twice: to simplify it, then to vectorise it. The second half is left out:
    # it is half of the optimiser's time, makes a tenth more code, and all but nothing is gained by it here (1% of the run time).
    whole = llvm.create_new_module_pass_manager()
    whole.add_always_inliner_pass()
    whole.add_global_dead_code_eliminate_pass()  # what was inlined everywhere
    whole.add_post_order_function_attributes_pass()  # which calls may be moved out of a loop
    whole.run(module, passes)
    if not _straight(ir_text):
        simplify = passes.getFunctionPassManager()
    else:  # most of the order is for loops, and the graph's own passes have simplified the rest: a third of LLVM's time for an LU
        simplify = llvm.create_new_function_pass_manager()
        simplify.add_sroa_pass()
        simplify.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            simplify.run(function, passes)
    return module


def _link(code, symbols, defined, declared):
    library = _binding().JITLibraryBuilder()
    library.add_object_img(code)
    for name in declared:
        if name in symbols:
            if not symbols[name]:
                raise CodeError(f"the address of {name} is null")
            library.import_symbol(name, symbols[name])
    for name in defined:
        library.export_symbol(name)
    library.add_current_process()
    number = next(_numbers)
    try:
        tracker = library.link(_current_engine(), f"adjoint{number}")
    except RuntimeError as error:
        unknown = [n for n in declared if n not in symbols and not n.startswith("llvm.")]
        raise CodeError(f"generated code cannot be linked: {error}; declared, but not given: {unknown}") from None
    addresses = {name: tracker[name] for name in defined}
    if _live is None:
        tracker.detach()
    else:
        _live[number] = tracker
    return Loaded(_Handle(number), addresses)


def _refused(text, message):
    """What LLVM said, and the lines it means."""
    lines = text.splitlines()
    places = [int(n) - 1 for n in re.findall(r"<string>:(\d+):\d+: error", message)]
    if not places:  # the verifier quotes instructions instead of numbering them
        said = {line.strip() for line in message.splitlines() if line.startswith(" ")}
        places = [i for i, line in enumerate(lines) if line.split(";")[0].strip() in said]
    shown = sorted({i for p in places[:8] for i in range(max(p - 3, 0), min(p + 4, len(lines)))})
    quote = "\n".join(f"{'>' if i in places else ' '}{i + 1:6} {lines[i]}" for i in shown)
    return f"LLVM refuses generated code, which is a fault of adjoint's compiler: {message.strip()}\n{quote}"
