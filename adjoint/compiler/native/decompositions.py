"""Decompositions of matrices by LAPACK: eigh, svd, qr, of stacks of matrices, real or complex.

They take the very routines, triangles, precision (double) and order of memory that NumPy takes, so that signs and phases of
vectors are NumPy's. LAPACK reads and writes columns: the matrix is copied into columns, and vectors stay there as transposed
views, which the rest of the code reads as any other view. How much memory LAPACK wants is asked when the code is made.
"""

import ctypes
import functools

import numpy as np

from .code import supported
from .lapack import check, stacked
from .products import address, function, integer, letter
from .storage import Mem
from .table import direct

_DOUBLE, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)
_INT = np.dtype(np.int32)
_NOT_CONVERGED = np.linalg.LinAlgError("Eigenvalues did not converge")
_NO_SVD = np.linalg.LinAlgError("SVD did not converge")


def _dtype(line):
    """The dtype in which LAPACK does this line; None for empty matrices, and numbers that are not in registers."""
    t = line.args[0].type
    if 0 in t.shape or not (supported(t.dtype) or t.dtype.name in ("complex128", "complex64")):
        return None
    return _COMPLEX if t.dtype.kind == "c" else _DOUBLE


def _read(emitter, line):
    """Which elements of the line's result anybody reads."""
    return {k for k in range(len(line.out.type.elems)) if emitter.holder(line, k)}


def _columns(emitter, dtype, shape):
    """Memory for matrices whose columns lie one behind the other, kept until the graph's end."""
    *lead, m, n = shape
    mem = emitter.scratch(dtype, (*lead, n, m), keep=True)
    return Mem(mem.ptr, dtype, shape, (*mem.strides[:-2], mem.strides[-1], mem.strides[-2]))


def _as_matrices(mem):
    """Stacks of vectors as stacks of matrices of one column."""
    return Mem(mem.ptr, mem.dtype, (*mem.shape, 1), (*mem.strides, mem.dtype.itemsize))


def _results(emitter, line, mems):
    """The results in their own precision."""
    out: dict = {}
    for x, t in zip(mems, line.out.type.elems):
        if x.dtype != t.dtype and id(x) not in out:
            y = emitter.scratch(t.dtype, t.shape, keep=True)
            if x.shape == t.shape:  # else nobody reads it
                emitter.copy(y, x)
            out[id(x)] = y
    return [out.get(id(x), x) for x in mems]


def _call(emitter, symbol, *args):
    """Numbers and letters are passed by their addresses, memory as it is."""
    passed = [integer(emitter, a) if type(a) is int else letter(emitter, a) if len(a) == 1 else a for a in args]
    emitter.code.do(f"call void @{symbol}({', '.join(f'ptr {a}' for a in passed)})")


@functools.cache
def _sizes(name, *args):
    """How much memory a routine wants for itself, in elements. args: as those of `_call`; a dtype for each memory that is
    asked for, with its length; None for what is not read when it is asked."""
    minus, nothing = np.array([-1], np.int32), np.zeros(2)
    asked, passed = [], []
    for a in args:
        if type(a) is int:
            passed.append(np.array([a], np.int32))
        elif type(a) is str:
            passed.append(np.frombuffer(a.encode(), np.uint8))
        elif a is None:
            passed.append(nothing)
        else:
            asked.append(np.zeros(1, a))
            passed += [asked[-1], minus]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(passed))(address(name))(*[p.ctypes.data for p in passed])
    return [max(1, int(x[0].real)) for x in asked]


def _asked(emitter, name, *args):
    """That memory, and its lengths, as arguments of the routine."""
    out = []
    for size, dtype in zip(_sizes(name, *args), [a for a in args if isinstance(a, np.dtype)]):
        out += [emitter.scratch(dtype, (size,)).ptr, size]
    return out


@direct("eigh")
def eigh(emitter, line):
    dtype, shape = _dtype(line), line.args[0].type.shape
    complex_ = dtype == _COMPLEX
    name = "zheevd" if complex_ else "dsyevd"
    routine = dtype and function(emitter, name, 13 if complex_ else 11)
    if not routine:
        return None
    n = shape[-1]
    job = "V" if _read(emitter, line) - {2} else "N"
    uplo = line.params["UPLO"]
    v = _columns(emitter, dtype, shape)
    w = emitter.scratch(_DOUBLE, shape[:-1], keep=True)
    emitter.copy(v, emitter.mem(line.args[0]))
    info = emitter.code.alloca("i32")
    kinds = (_COMPLEX, _DOUBLE, _INT) if complex_ else (_DOUBLE, _INT)
    work = _asked(emitter, name, job, uplo, n, None, n, None, *kinds, None)

    def each(mems):
        v, w = mems
        _call(emitter, routine, job, uplo, n, v.ptr, n, w.ptr, *work, info)
        check(emitter, info, _NOT_CONVERGED)

    stacked(emitter, line, [v, _as_matrices(w)], each)
    return _results(emitter, line, [w, v, w])


@direct("svd")
def svd(emitter, line):
    u_type, s_type, v_type, _ = line.out.type.elems
    dtype, shape = _dtype(line), line.args[0].type.shape
    complex_ = dtype == _COMPLEX
    name = "zgesdd" if complex_ else "dgesdd"
    routine = dtype and function(emitter, name, 15 if complex_ else 14)
    if not routine:
        return None
    *lead, m, n = shape
    k = min(m, n)
    wanted = bool(_read(emitter, line) - {3})
    job = ("A" if line.params["full"] else "S") if wanted else "N"
    rows = v_type.shape[-2] if wanted else 1
    a = _columns(emitter, dtype, shape)
    emitter.copy(a, emitter.mem(line.args[0]))
    s = emitter.scratch(_DOUBLE, s_type.shape, keep=True)
    u = _columns(emitter, dtype, u_type.shape if wanted else (*lead, 1, 1))
    v = _columns(emitter, dtype, v_type.shape if wanted else (*lead, 1, 1))
    own = [None, None] if complex_ else [None]  # memory whose size the manual says
    work = _asked(emitter, name, job, m, n, None, m, None, None, m, None, rows, dtype, *own, None)
    if complex_:
        size = max(5 * k * k + 7 * k, 2 * max(m, n) * k + 2 * k * k + k)
        work.append(emitter.scratch(s.dtype, (size,)).ptr)
    work.append(emitter.scratch(_INT, (8 * k,)).ptr)
    info = emitter.code.alloca("i32")

    def each(mems):
        a, s, u, v = mems
        _call(emitter, routine, job, m, n, a.ptr, m, s.ptr, u.ptr, m, v.ptr, rows, *work, info)
        check(emitter, info, _NO_SVD)

    stacked(emitter, line, [a, _as_matrices(s), u, v], each)
    return _results(emitter, line, [u, s, v, s])


@direct("qr")
def qr(emitter, line):
    q_type, r_type = line.out.type.elems
    dtype, shape = _dtype(line), line.args[0].type.shape
    names = ("zgeqrf", "zungqr") if dtype == _COMPLEX else ("dgeqrf", "dorgqr")
    routines = dtype and [function(emitter, name, arity) for name, arity in zip(names, (8, 9))]
    if not routines or None in routines:
        return None
    code = emitter.code
    m, n = shape[-2:]
    k = min(m, n)
    a = _columns(emitter, dtype, shape)
    emitter.copy(a, emitter.mem(line.args[0]))
    r = _columns(emitter, dtype, r_type.shape)
    code.clear(r.ptr, r.nbytes)
    tau = emitter.scratch(dtype, (k,)).ptr
    info = code.alloca("i32")
    works = [
        _asked(emitter, names[0], m, n, None, m, None, dtype, None),
        _asked(emitter, names[1], m, k, k, None, m, None, dtype, None),
    ]

    def each(mems):
        a, r = mems
        _call(emitter, routines[0], m, n, a.ptr, m, tau, *works[0], info)
        with code.loop(0, n) as j:  # what stands on and above the diagonal
            inside = code.emit(f"icmp slt i64 {j}, {k}")
            count = code.emit(f"select i1 {inside}, i64 {code.emit(f'add nsw i64 {j}, 1')}, i64 {k}")
            column = [code.at(x.ptr, code.times(j, x.strides[1])) for x in (r, a)]
            code.copy(*column, code.times(count, dtype.itemsize))
        _call(emitter, routines[1], m, k, k, a.ptr, m, tau, *works[1], info)

    stacked(emitter, line, [a, r], each)
    return _results(emitter, line, [Mem(a.ptr, dtype, q_type.shape, a.strides), r])
