"""Products: matmul by BLAS, by pointer from SciPy's capsules; tiny ones in registers; where SciPy is missing, by plain loops.

BLAS is Fortran's: what it calls a column-major matrix is our row-major one transposed. So y = a b is asked for as
y^T = b^T a^T. A view whose rows or columns are neighbours is passed as it is, by its leading dimension; others are copied.
"""

import ctypes
import functools
import math

from ...primitives.convolve import _bounds
from .code import element, half_dtype, supported
from .nest import Nest
from .storage import Mem, Reg, aligned, is_small
from .table import direct

PREFIX = {"float64": "d", "float32": "s", "complex128": "z", "complex64": "c"}
TINY = 64  # multiplications up to which a product is written out in registers


@functools.cache
def address(name):
    """The address of a BLAS or LAPACK function (`dgemm`), or None without SciPy."""
    try:
        from scipy.linalg import cython_blas, cython_lapack
    except ImportError:
        return None
    table = getattr(cython_blas, "__pyx_capi__", {})
    capsule = table.get(name) or getattr(cython_lapack, "__pyx_capi__", {}).get(name)
    if capsule is None:
        return None
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return get(capsule, get_name(capsule))


def function(emitter, name, arity):
    """The symbol of a Fortran function that takes pointers only; None where it is not to be had."""
    at = address(name)
    if at is None:
        return None
    symbol = f"ad.blas.{name}"
    emitter.kernel.module.symbols[symbol] = at
    emitter.kernel.module.declare(symbol, f"declare void @{symbol}({', '.join(['ptr'] * arity)})")
    return symbol


def integer(emitter, n):
    """A pointer to a C int."""
    code = emitter.code
    slot = code.alloca("i32")
    code.do(f"store i32 {n}, ptr {slot}")
    return slot


def letter(emitter, c):
    slot = emitter.code.alloca("i8")
    emitter.code.do(f"store i8 {ord(c)}, ptr {slot}")
    return slot


def real(emitter, x, dtype):
    part = half_dtype(dtype) if dtype.kind == "c" else dtype
    slot = emitter.code.alloca(f"<2 x {element(part)}>")
    emitter.code.store(emitter.code.vector([x, 0], part), slot)  # of a complex number both parts
    return slot


def layout(mem):
    """(transposed, leading dimension) of a matrix as BLAS reads it, None if it needs a copy. In rows: not transposed."""
    size = mem.dtype.itemsize
    (m, n), (a, b) = mem.shape, mem.strides
    if (b == size or n == 1) and ((a % size == 0 and a >= n * size) or m == 1):
        return False, max(a // size, n, 1) if m > 1 else max(n, 1)
    if (a == size or m == 1) and ((b % size == 0 and b >= m * size) or n == 1):
        return True, max(b // size, m, 1) if n > 1 else max(m, 1)
    return None


def matrix(emitter, mem):
    """A matrix that BLAS can read, and its layout."""
    found = layout(mem)
    if found is None:
        fresh = emitter.scratch(mem.dtype, mem.shape)
        emitter.copy(fresh, mem)
        mem, found = fresh, layout(fresh)
    return mem, found


def multiply(emitter, a, b, y):
    """y = a b, matrices in memory; y contiguous. Plain loops where BLAS is missing."""
    prefix = PREFIX[y.dtype.name]
    m, k = a.shape
    n = b.shape[1]
    if n == 1 or m == 1:
        gemv = function(emitter, prefix + "gemv", 11)
        if gemv is not None:
            return _vector(emitter, gemv, a, b, y)
    gemm = function(emitter, prefix + "gemm", 13)
    if gemm is None:
        return loops(emitter, a, b, y)
    a, (ta, lda) = matrix(emitter, a)
    b, (tb, ldb) = matrix(emitter, b)
    one, zero = real(emitter, 1, y.dtype), real(emitter, 0, y.dtype)
    args = [
        letter(emitter, "T" if tb else "N"),
        letter(emitter, "T" if ta else "N"),
        integer(emitter, n),
        integer(emitter, m),
        integer(emitter, k),
        one,
        b.ptr,
        integer(emitter, ldb),
        a.ptr,
        integer(emitter, lda),
        zero,
        y.ptr,
        integer(emitter, max(n, 1)),
    ]
    emitter.code.do(f"call void @{gemm}({', '.join(f'ptr {x}' for x in args)})")
    return y


def _vector(emitter, gemv, a, b, y):
    """A matrix times a vector, from either side."""
    size = y.dtype.itemsize
    if b.shape[1] == 1:
        matrix_, x, step = a, b, b.strides[0]
        flip = False
    else:
        matrix_, x, step = b, a, a.strides[1]
        flip = True
    if step % size or step <= 0:
        if x.size > 1:
            fresh = emitter.scratch(x.dtype, x.shape)
            emitter.copy(fresh, x)
            x = fresh
        step = size
    matrix_, (transposed, ld) = matrix(emitter, matrix_)
    # in rows, our matrix is BLAS' transposed one
    plain = transposed != flip
    m, n = matrix_.shape if transposed else matrix_.shape[::-1]
    one, zero = real(emitter, 1, y.dtype), real(emitter, 0, y.dtype)
    args = [
        letter(emitter, "N" if plain else "T"),
        integer(emitter, m),
        integer(emitter, n),
        one,
        matrix_.ptr,
        integer(emitter, ld),
        x.ptr,
        integer(emitter, step // size),
        zero,
        y.ptr,
        integer(emitter, 1),
    ]
    emitter.code.do(f"call void @{gemv}({', '.join(f'ptr {v}' for v in args)})")
    return y


def loops(emitter, a, b, y):
    """y = a b by loops: rows of b, scaled, are added up."""
    emitter.fill(y, emitter.code.constant(0, y.dtype, 1))
    code = emitter.code
    m, k = a.shape
    n = b.shape[1]
    with code.loop(0, m) as i, code.loop(0, k) as j:
        x = code.load(code.at(code.at(a.ptr, code.times(i, a.strides[0])), code.times(j, a.strides[1])), a.dtype)
        nest = Nest(code, (n,))
        row = Mem(code.at(b.ptr, code.times(j, b.strides[0])), b.dtype, (n,), (b.strides[1],))
        out = Mem(code.at(y.ptr, code.times(i, y.strides[0])), y.dtype, (n,), (y.strides[1],))
        r, o = nest.access(row, row.strides), nest.access(out, out.strides, False)
        nest.run(
            lambda get: get.store(
                o, emitter.machine.add(get.load(o), emitter.machine.multiply(get.load(r), code.splat(x, get.width)))
            ),
            y.dtype.itemsize,
        )
    return y


@direct("matmul")
def matmul(emitter, line):
    a, b = line.args
    out = line.out.type
    complex_ = out.dtype.kind == "c"
    dtypes = a.type.dtype, b.type.dtype
    if out.dtype.name not in PREFIX or not all(supported(d) or d.name in PREFIX for d in dtypes):
        return None
    if complex_ and not function(emitter, PREFIX[out.dtype.name] + "gemm", 13):
        return None  # plain loops know real numbers alone
    p, q = a.type.shape, b.type.shape
    k = p[-1]
    few = math.prod(p) * (q[-1] if len(q) > 1 else 1) <= TINY and not complex_
    if few and len(p) <= 2 and len(q) <= 2 and out.size and k:
        return tiny(emitter, line)
    if 0 in (*p, *q):
        mem = emitter.buffer(line.out)
        emitter.fill_any(mem)
        return mem
    x, y = operand(emitter, a, out.dtype), operand(emitter, b, out.dtype)
    if len(p) == 1 and len(q) == 1:
        return dot(emitter, x, y, out)
    if len(p) == 1:
        x = Mem(x.ptr, x.dtype, (1, k), (x.strides[0] * k, x.strides[0]))
    if len(q) == 1:
        y = Mem(y.ptr, y.dtype, (k, 1), (y.strides[0], y.dtype.itemsize))
    m, n = x.shape[-2], y.shape[-1]
    lead = out.shape[: len(out.shape) - (len(p) > 1) - (len(q) > 1)]
    result = emitter.buffer(line.out)
    whole = Mem(result.ptr, out.dtype, (*lead, m, n))
    emitter.kernel.note(f"matmul {list(p)} {list(q)}")
    emitter.kernel.work += 2 * out.size * k
    if not lead:
        multiply(emitter, x, y, whole)
        return result
    if len(q) <= 2 and len(p) > 2 and x.contiguous:  # one large product
        rows = Mem(x.ptr, x.dtype, (math.prod(lead) * m, k))
        multiply(emitter, rows, y, Mem(result.ptr, out.dtype, (math.prod(lead) * m, n)))
        return result
    each_matrix(emitter, lead, [x, y, whole], lambda parts: multiply(emitter, *parts))
    return result


def each_matrix(emitter, lead, mems, f):
    """f of the matrices at each place of the leading axes, broadcast."""
    code = emitter.code
    strides = [aligned(Mem(v.ptr, v.dtype, v.shape[:-2], v.strides[:-2]), lead) for v in mems]

    def level(i, ptrs):
        if i == len(lead):
            f([Mem(ptr, v.dtype, v.shape[-2:], v.strides[-2:]) for ptr, v in zip(ptrs, mems)])
            return
        with code.loop(0, lead[i]) as j:
            level(i + 1, [code.at(ptr, code.times(j, s[i])) for ptr, s in zip(ptrs, strides)])

    level(0, [v.ptr for v in mems])


def operand(emitter, v, dtype):
    """An operand in memory, in the product's dtype."""
    mem = emitter.mem(v)
    if 0 in [
        s for s, n in zip(mem.strides, mem.shape) if n != 1
    ]:  # repeated by broadcasting: BLAS wants it written out
        fresh = emitter.scratch(dtype, mem.shape)
        emitter.copy(fresh, mem)
        return fresh
    if mem.dtype != dtype:
        fresh = emitter.scratch(dtype, mem.shape)
        emitter.copy(fresh, mem)
        return fresh
    return mem


def dot(emitter, x, y, out):
    """The product of two vectors: a fused loop, more accurate than BLAS."""
    result = emitter.local(out.dtype, ())
    nest = Nest(emitter.code, x.shape)
    a, b = nest.access(x, x.strides), nest.access(y, y.strides)
    r = nest.reduction("add", out.dtype, [True], result, [0])
    nest.run(lambda get: get.reduce(r, emitter.machine.multiply(get.load(a), get.load(b))), out.dtype.itemsize, 2)
    return result


def tiny(emitter, line):
    """A product of small matrices in registers: columns of a times rows of b."""
    code, machine = emitter.code, emitter.machine
    out = line.out.type
    a, b = (emitter.reg(v) for v in line.args)
    x = machine.cast(a.value, out.dtype)
    y = machine.cast(b.value, out.dtype)
    p = a.shape if len(a.shape) == 2 else (1, a.shape[0])
    q = b.shape if len(b.shape) == 2 else (b.shape[0], 1)
    m, k, n = p[0], p[1], q[1]
    total = None
    for j in range(k):
        left = code.shuffle(x, [i * k + j for i in range(m) for _ in range(n)])
        right = code.shuffle(y, [j * n + c for _ in range(m) for c in range(n)])
        part = machine.multiply(left, right)
        total = part if total is None else machine.add(total, part)
    reg = Reg(total, out.shape)
    if is_small(out):
        return reg
    mem = emitter.buffer(line.out)
    code.store(total, mem.ptr)
    return mem


@direct("convolve")
def convolve(emitter, line):
    """Sums of products under each position of the shorter sequence, turned around; beyond its ends the longer one is zero."""
    out = line.out.type
    a, v = sorted((emitter.mem(x) for x in line.args), key=lambda m: -m.size)
    if not all(map(supported, (a.dtype, v.dtype, out.dtype))):
        return None
    code, machine = emitter.code, emitter.machine
    (n,), (m,) = a.shape, v.shape
    start, stop = _bounds(n, m, line.params["mode"])
    if line.params["mode"] == "valid":
        under = Mem(a.ptr, a.dtype, (stop - start, m), (*a.strides, *a.strides))
    else:
        size = a.dtype.itemsize
        padded = emitter.scratch(a.dtype, (n + 2 * (m - 1),))
        emitter.fill_any(padded)
        emitter.copy(Mem(code.at(padded.ptr, (m - 1) * size), a.dtype, (n,)), a)
        under = Mem(code.at(padded.ptr, start * size), a.dtype, (stop - start, m), (size, size))
    y = emitter.buffer(line.out)
    nest = Nest(code, under.shape)
    x = nest.access(under, under.strides)
    w = nest.access(Mem(code.at(v.ptr, (m - 1) * v.strides[0]), v.dtype, (m,)), (0, -v.strides[0]))
    r = nest.reduction("add", out.dtype, [False, True], y, [*y.strides, 0])

    def body(get):
        get.reduce(r, machine.multiply(*(machine.cast(get.load(s), out.dtype) for s in (x, w))))

    emitter.kernel.note(f"convolve {n} {m}")
    emitter.kernel.work += 2 * m * (stop - start)
    nest.run(body, out.dtype.itemsize, 2, scalars=[])
    return y
