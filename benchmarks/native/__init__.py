"""The gradients by hand in C++: built with g++ into native/build/, called through ctypes with prepared pointers.

Two builds: -O3 -march=native, and the same with -ffast-math. Without a compiler `library` returns None.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import cache, partial
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
BUILD = HERE / "build"
FLAGS = {
    "C++ -O3": ["-O3", "-march=native"],
    "C++ -O3 fast-math": ["-O3", "-march=native", "-ffast-math"],
}


def compiler():
    """The C++ compiler's path; None if there is none."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")


@cache
def compiler_version():
    command = compiler()
    if command is None:
        return None
    return subprocess.run([command, "--version"], capture_output=True, text=True).stdout.splitlines()[0]


@cache
def library(variant):
    """The shared library of this build, made when a source has changed; None without a compiler. Raises if it fails."""
    command = compiler()
    if command is None:
        return None
    sources = sorted(HERE.glob("*.cpp"))
    text = b"".join(path.read_bytes() for path in [HERE / "common.h", *sources])
    # static linking of libgcc is not needed; -fopenmp-simd lets `#pragma omp simd` name the loops to vectorise
    flags = ["-std=c++17", "-fPIC", "-fopenmp-simd", "-fno-math-errno", *FLAGS[variant]]
    key = hashlib.sha256(text + repr((flags, compiler_version())).encode()).hexdigest()[:16]
    path = BUILD / f"native-{key}.so"
    if not path.exists():
        BUILD.mkdir(exist_ok=True)
        objects = []
        for source in sources:
            part = hashlib.sha256(source.read_bytes() + (HERE / "common.h").read_bytes() + repr(flags).encode())
            object_file = BUILD / f"{source.stem}-{part.hexdigest()[:16]}.o"
            if not object_file.exists():
                _run(command, *flags, "-c", source, "-o", object_file)
            objects.append(object_file)
        _run(command, "-shared", "-o", path, *objects)
    loaded = ctypes.CDLL(str(path))
    _give_blas(loaded)
    return loaded


def _run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[:2000])


def _give_blas(loaded):
    from scipy.linalg import cython_blas, cython_lapack

    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsules = [cython_blas.__pyx_capi__[n] for n in ("dgemm", "sgemm", "dgemv", "sgemv")]
    capsules += [cython_lapack.__pyx_capi__[n] for n in ("dpotrf", "dpotri")]
    loaded.set_blas((ctypes.c_void_p * len(capsules))(*[pointer(c, name(c)) for c in capsules]))


class Call:
    """A C++ function with its pointers prepared: calling it returns its output arrays, which are always the same."""

    def __init__(self, loaded, symbol, args, outputs, dims):
        suffix = "_f32" if outputs[0].dtype == np.float32 else "_f64"
        self.function = getattr(loaded, symbol + suffix)
        self.function.restype = None
        self.args = [np.ascontiguousarray(a) for a in args]
        self.outputs = outputs
        self.dims = (ctypes.c_int64 * max(1, len(dims)))(*dims)
        self.ins = (ctypes.c_void_p * len(self.args))(*[a.ctypes.data for a in self.args])
        self.outs = (ctypes.c_void_p * len(outputs))(*[a.ctypes.data for a in outputs])
        self.quick = partial(self.function, self.ins, self.outs, self.dims)
        self._repeat = loaded.repeat
        self._repeat.restype = None

    def __call__(self):
        self.quick()
        return self.outputs

    def inside(self, times):
        """Run it this often without Python in between."""
        self._repeat(self.function, self.ins, self.outs, self.dims, ctypes.c_int64(times))
