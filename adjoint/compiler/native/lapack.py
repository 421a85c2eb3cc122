"""LAPACK: Cholesky, triangular and general solving, inverses and determinants by pointer, of matrices and stacks of them.

LAPACK reads columns, we write rows: it sees each matrix transposed. A lower triangle in rows is an upper one in columns, and
the inverse of the transpose is the transpose of the inverse, so only right hand sides have to be turned around.
Decompositions with vectors are in `decompositions`.
"""

import math

import numpy as np

from .code import INT, Value
from .products import PREFIX, each_matrix, function, integer, layout, letter, matrix, real
from .storage import Mem, half
from .table import direct

_SINGULAR = np.linalg.LinAlgError("Singular matrix")
_INDEFINITE = np.linalg.LinAlgError("Matrix is not positive definite")


def wanted(line, *names):
    """The dtype's letter where LAPACK does this line: matrices of one dtype that are not empty; None else."""
    types = [a.type for a in line.args]
    if any(t.dtype != types[0].dtype or t.size == 0 for t in types):
        return None
    return PREFIX.get(types[0].dtype.name)


def call(emitter, symbol, args):
    emitter.code.do(f"call void @{symbol}({', '.join(f'ptr {a}' for a in args)})")


def check(emitter, info, error):
    """Leave the kernel where LAPACK says that it could not."""
    code = emitter.code
    failed = code.emit(f"icmp ne i32 {code.emit(f'load i32, ptr {info}')}, 0")
    code.fail_if(failed, emitter.kernel.module.error(error))


def stacked(emitter, line, mems, f):
    """f of the matrices of each place of the leading axes."""
    emitter.kernel.note(f"{line.op.name} {list(line.args[0].type.shape)} by LAPACK")
    lead = np.broadcast_shapes(*(m.shape[:-2] for m in mems))
    n = mems[0].shape[-1]
    emitter.kernel.work += n**3 * math.prod(lead)
    if not lead:
        f(mems)
    else:
        each_matrix(emitter, lead, mems, f)


def parts(emitter, ptr, dtype):
    """What stands at an address: a real number, or both parts of a complex one."""
    if dtype.kind != "c":
        return [emitter.code.load(ptr, dtype)]
    mem = Mem(ptr, dtype, ())
    return [emitter.code.load(p.ptr, p.dtype) for p in (half(emitter.code, mem, k) for k in (0, 1))]


def row_at(emitter, mem, i):
    return emitter.code.at(mem.ptr, emitter.code.times(i, mem.strides[0]))


@direct("cholesky")
def cholesky(emitter, line):
    prefix = wanted(line)
    potrf = prefix and not line.params.get("upper") and function(emitter, prefix + "potrf", 5)
    if not potrf:
        return None
    code = emitter.code
    y = emitter.buffer(line.out)
    emitter.copy(y, emitter.read(line.args[0]))

    def each(mems):
        (m,) = mems
        n = m.shape[-1]
        info = code.alloca("i32")
        call(emitter, potrf, [letter(emitter, "U"), integer(emitter, n), m.ptr, integer(emitter, n), info])
        check(emitter, info, _INDEFINITE)
        size = m.dtype.itemsize
        with code.loop(0, n - 1) as i:  # what stands above the diagonal is not ours
            first = code.emit(f"add nsw i64 {i}, 1")
            rest = code.times(code.emit(f"sub nsw i64 {n}, {first}"), size)
            code.clear(code.at(row_at(emitter, m, i), code.times(first, size)), rest)

    stacked(emitter, line, [y], each)
    return y


@direct("solve_triangular")
def solve_triangular(emitter, line):
    prefix = wanted(line)
    trsm = prefix and function(emitter, prefix + "trsm", 11)
    if not trsm:
        return None
    trsv = function(emitter, prefix + "trsv", 8)
    code, machine = emitter.code, emitter.machine
    lower = line.params["lower"]
    y = emitter.buffer(line.out)
    emitter.copy(y, emitter.read(line.args[1]))
    a = emitter.mem(line.args[0])
    one = real(emitter, 1, y.dtype)

    def each(mems):
        a, x = mems
        n, k = x.shape
        a, (transposed, ld) = matrix(emitter, a)
        with code.loop(0, n) as i:
            zero = None
            for d in parts(emitter, code.at(row_at(emitter, a, i), code.times(i, a.strides[1])), a.dtype):
                none = machine.compare("equal", d, machine.of(0, d))
                zero = none if zero is None else machine._and(zero, none)
            code.fail_if(zero.name, emitter.kernel.module.error(_SINGULAR))
        # x^T a^T = b^T in columns; what BLAS sees of a is its transpose, or a itself where a is stored in columns
        if trsv and k == 1:
            uplo, trans, none = (letter(emitter, c) for c in ("L" if lower == transposed else "U", "N" if transposed else "T", "N"))
            size, step = integer(emitter, n), integer(emitter, 1)
            call(emitter, trsv, [uplo, trans, none, size, a.ptr, integer(emitter, ld), x.ptr, step])
            return
        by_triangle(emitter, trsm, lower, a, transposed, ld, x, one)

    stacked(emitter, line, [a, y], each)
    return y


def by_triangle(emitter, f, lower, a, transposed, ld, x, one):
    """trsm or trmm on x, in place, from the left: of the transposed x in columns, from the right."""
    n, k = x.shape
    letters = ("R", "L" if lower == transposed else "U", "T" if transposed else "N", "N")
    letters = [letter(emitter, c) for c in letters]
    sizes = integer(emitter, k), integer(emitter, n)
    call(emitter, f, [*letters, *sizes, one, a.ptr, integer(emitter, ld), x.ptr, integer(emitter, k)])


def columns_like(emitter, mem):
    """Memory for a matrix that is stored as this one is: in columns where that is. What LAPACK then reads needs no turning."""
    found = layout(mem)
    if found is None or not found[0]:
        return emitter.scratch(mem.dtype, mem.shape, keep=True)
    turned = emitter.scratch(mem.dtype, mem.shape[::-1], keep=True)
    return Mem(turned.ptr, mem.dtype, mem.shape, turned.strides[::-1])


@direct("inv_triangular")
def inv_triangular(emitter, line):
    prefix = wanted(line)
    trtri = prefix and function(emitter, prefix + "trtri", 6)
    if not trtri:
        return None
    a = emitter.mem(line.args[0])
    y = columns_like(emitter, a)
    emitter.copy(y, a)  # its other triangle, of zeros, too

    def each(mems):
        (y,) = mems
        _, (transposed, ld) = matrix(emitter, y)
        info = emitter.code.alloca("i32")
        uplo = letter(emitter, "U" if line.params["lower"] != transposed else "L")
        call(emitter, trtri, [uplo, letter(emitter, "N"), integer(emitter, y.shape[-1]), y.ptr, integer(emitter, ld), info])
        check(emitter, info, _SINGULAR)

    stacked(emitter, line, [y], each)
    return y


@direct("triangular_product")
def triangular_product(emitter, line):
    prefix = wanted(line)
    trmm = prefix and function(emitter, prefix + "trmm", 11)
    if not trmm:
        return None
    a = emitter.mem(line.args[0])
    y = emitter.buffer(line.out)
    emitter.copy(y, emitter.read(line.args[1]))
    one = real(emitter, 1, y.dtype)

    def each(mems):
        a, y = mems
        a, (transposed, ld) = matrix(emitter, a)
        by_triangle(emitter, trmm, line.params["lower"], a, transposed, ld, y, one)  # y^T = b^T a^T in columns

    stacked(emitter, line, [a, y], each)
    return y


def factored(emitter, m, prefix, error=_SINGULAR, keep=False):
    """LU of a matrix in place; the pivots' memory, and LAPACK's info. error None: a singular one is fine."""
    code = emitter.code
    getrf = function(emitter, prefix + "getrf", 6)
    n = m.shape[-1]
    pivots = emitter.scratch(np.dtype(np.int32), (n,), keep)
    info = code.alloca("i32")
    call(emitter, getrf, [integer(emitter, n), integer(emitter, n), m.ptr, integer(emitter, n), pivots.ptr, info])
    if error is not None:
        check(emitter, info, error)
    return pivots, info


def lu_of(emitter, line, a, prefix, error=_SINGULAR):
    """LU of a matrix that a line is given: (its memory, pivots, whether it is that of the transpose).

    What other lines want to have factored too, or its transpose, is factored once.
    """
    v, flip = untransposed(emitter, line.args[0])
    alone = all(len(x.type.shape) == 2 for x in line.args)  # no loop over stacks of matrices
    shared = alone and wanted_again(emitter, v)
    if shared and id(v) in emitter.factors:
        lu, pivots, info, flipped = emitter.factors[id(v)]
        if error is not None:
            check(emitter, info, error)
        return lu, pivots, flip != flipped
    lu = emitter.scratch(a.dtype, a.shape, keep=shared)
    emitter.copy(lu, a)
    pivots, info = factored(emitter, lu, prefix, error, shared)
    if shared:
        emitter.factors[id(v)] = lu, pivots, info, flip
    return lu, pivots, False


def untransposed(emitter, v):
    """(what a matrix is the transpose of, True), or (itself, False)."""
    flip = False
    line = emitter.plan.line_of.get(id(v))
    while line is not None and line.op.name == "transpose" and line.params["axes"] == (-1, -2):
        v, flip = line.args[0], not flip
        line = emitter.plan.line_of.get(id(v))
    return v, flip


def wanted_again(emitter, v):
    """Whether more than one line of the graph wants the LU of a matrix or of its transpose."""
    lines = [u for u in emitter.graph.lines if u.op.name in ("solve", "det", "slogdet")]
    return sum(untransposed(emitter, u.args[0])[0] is v for u in lines) > 1


@direct("solve")
def solve(emitter, line):
    prefix = wanted(line)
    getrs = prefix and function(emitter, prefix + "getrs", 9)
    if not getrs:
        return None
    a = emitter.mem(line.args[0])
    y = emitter.buffer(line.out)
    b = emitter.mem(line.args[1])
    n, k = y.shape[-2:]
    columns = emitter.scratch(y.dtype, (k, n))

    def each(mems):
        a, b, y = mems
        lu, pivots, transposed = lu_of(emitter, line, a, prefix)
        turned = Mem(columns.ptr, y.dtype, (n, k), (y.dtype.itemsize, n * y.dtype.itemsize))
        emitter.copy(turned, b)
        call(
            emitter,
            getrs,
            [
                letter(emitter, "N" if transposed else "T"),
                integer(emitter, n),
                integer(emitter, k),
                lu.ptr,
                integer(emitter, n),
                pivots.ptr,
                columns.ptr,
                integer(emitter, n),
                emitter.code.alloca("i32"),
            ],
        )
        emitter.copy(y, turned)

    stacked(emitter, line, [a, b, y], each)
    return y


@direct("inv")
def inv(emitter, line):
    prefix = wanted(line)
    getri = prefix and function(emitter, prefix + "getri", 7)
    if not getri:
        return None
    y = emitter.buffer(line.out)
    emitter.copy(y, emitter.read(line.args[0]))
    n = y.shape[-1]
    work = emitter.scratch(y.dtype, (64 * n,))

    def each(mems):
        (m,) = mems
        pivots, info = factored(emitter, m, prefix)
        call(
            emitter,
            getri,
            [integer(emitter, n), m.ptr, integer(emitter, n), pivots.ptr, work.ptr, integer(emitter, 64 * n), info],
        )

    stacked(emitter, line, [y], each)
    return y


@direct("det")
def det(emitter, line):
    """The product of what elimination leaves on the diagonal, negative for each exchange of rows."""

    def begin(machine, part):
        return [machine.of(1, part), *[machine.of(0, part)] * (line.out.type.dtype.kind == "c")]

    def step(machine, total, d):
        return _times(machine, total, d)

    return _along_diagonal(emitter, line, [line.out.type], begin, step, lambda found: [found])


@direct("slogdet")
def slogdet(emitter, line):
    def begin(machine, part):
        return [
            machine.of(0, part),
            machine.of(1, part),
            *[machine.of(0, part)] * (line.args[0].type.dtype.kind == "c"),
        ]

    def step(machine, total, d):
        log, *sign = total
        size = machine.math("hypot", *d) if len(d) == 2 else machine.absolute(d[0])
        zero = machine.compare("equal", size, machine.of(0, size))
        turn = [machine.divide(x, size) for x in d] if len(d) == 2 else [machine.copysign(machine.of(1, size), d[0])]
        turn = [machine.select(zero, machine.of(0, x), x) for x in turn]
        return [machine.add(log, machine.math("log", size)), *_times(machine, sign, turn)]

    sign, log = line.out.type.elems
    return _along_diagonal(emitter, line, [sign, log], begin, step, lambda found: [found[1:], found[:1]])


def _times(machine, a, b):
    if len(a) == 1:
        return [machine.multiply(a[0], b[0])]
    (x, y), (u, v) = a, b
    real_part = machine.subtract(machine.multiply(x, u), machine.multiply(y, v))
    return [real_part, machine.add(machine.multiply(x, v), machine.multiply(y, u))]


def _along_diagonal(emitter, line, types, begin, step, results):
    """Something of the diagonal of LU, number by number: the state and each number are lists of parts."""
    prefix = wanted(line)
    if not prefix or not function(emitter, prefix + "getrf", 6):
        return None
    code, machine = emitter.code, emitter.machine
    a = emitter.mem(line.args[0])
    n = a.shape[-1]
    if len(types) == 1:
        memory = [emitter.buffer(line.out)]
    else:
        memory = [emitter.scratch(t.dtype, t.shape, keep=True) for t in types]
    size = a.dtype.itemsize

    def each(mems):
        a, *out = mems
        lu, pivots, _ = lu_of(emitter, line, a, prefix, None)
        first = begin(machine, parts(emitter, lu.ptr, a.dtype)[0])
        slots = [code.alloca(x.type) for x in first]
        for x, slot in zip(first, slots):
            code.store_register(x, slot)
        state = lambda: [code.load_register(slot, x.dtype, 1) for x, slot in zip(first, slots)]
        with code.loop(0, n) as i:
            p = code.load(code.at(pivots.ptr, code.times(i, 4)), np.dtype(np.int32))
            here = machine.add(Value(i, INT, 1), Value("1", INT, 1))
            swapped = machine.compare("not_equal", machine.cast(p, INT), here)
            d = parts(emitter, code.at(lu.ptr, code.times(i, (n + 1) * size)), a.dtype)
            d = [machine.select(swapped, machine.negative(x), x) for x in d]
            for x, slot in zip(step(machine, state(), d), slots):
                code.store_register(x, slot)
        for target, found in zip(out, results(state())):
            for k, x in enumerate(found):
                code.store(x, code.at(target.ptr, k * x.dtype.itemsize))

    columns = [Mem(y.ptr, y.dtype, (*y.shape, 1, 1), (*y.strides, y.dtype.itemsize, y.dtype.itemsize)) for y in memory]
    stacked(emitter, line, [a, *columns], each)
    return memory[0] if len(types) == 1 else memory
