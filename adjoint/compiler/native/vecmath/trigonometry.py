"""sin, cos, tan of any argument, and their inverses.

x = n pi/2 + r: by a pi/2 in three parts up to a limit, beyond it by as many bits of 2/pi as it takes [Payne and Hanek
1983], in a branch that is taken only where a lane is that large.
"""

import itertools
import math

from . import tables
from .builder import Builder, Value
from .exponentials import FORMATS

NAN, INF = math.nan, math.inf
TWO_OVER_PI = 0.6366197723675814


def _near(b, ax):
    """(r, rest, t, limit): ax = n pi/2 + r + rest for 0 <= ax < limit; n stands in the low bits of the integer t."""
    shift = FORMATS[ax.kind].shift
    t = b.fma(ax, TWO_OVER_PI, shift)
    n = t - shift
    single = ax.kind == "float"
    if b.fma_native:
        p1, p2, p3 = tables.HALF_PI_FLOAT if single else tables.HALF_PI
        exact = b.fma(n, -p1, ax)
        if single:
            return b.fma(n, -p3, b.fma(n, -p2, exact)), None, t.bits(), 2.0**15
        p, e = b.two_product(n, b.constant(ax.kind, p2))
        r, rest = b.two_sum(exact, -p)
        return r, rest - b.fma(n, p3, e), t.bits(), 2.0**28
    first, *others, last = tables.HALF_PI_SHORT_FLOAT if single else tables.HALF_PI_SHORT
    r, rest = ax - n * first, None
    for part in others:
        r, lost = b.two_sum(r, n * -part)
        rest = lost if rest is None else rest + lost
    rest = rest + n * -last
    return r, rest, t.bits(), 2.0**14 if single else 2.0**20


def _near_short(b, ax):
    """The same with r + rest rounded to r."""
    if b.fma_native and ax.kind == "double":
        shift = FORMATS[ax.kind].shift
        t = b.fma(ax, TWO_OVER_PI, shift)
        n = t - shift
        p1, p2, p3 = tables.HALF_PI
        # the first step is exact, and where the second cancels the third is far below it
        return b.fma(n, -p3, b.fma(n, -p2, b.fma(n, -p1, ax))), t.bits(), 2.0**28
    r, rest, t, limit = _near(b, ax)
    return (r if rest is None else r + rest), t, limit


def far_scalar(fma):
    """`{r, rest, n} @ad.far.f64(x)` for one double x >= 1: definition and declarations."""
    b = Builder(1, fma)
    x = Value(b, "double", "%x")
    bits = x.bits()
    m = (bits & ((1 << 52) - 1)) | (1 << 52)
    # x = m * 2**(e - 1075). Bits of 2/pi whose product with it is a multiple of 4 are left out.
    offset = (bits >> 52) - (1075 + 2 - 64)
    offset = b.select(offset > 0, offset, 0)
    word, shift = offset >> 6, offset & 63
    loaded = []
    for k in range(4):
        index = word + k
        address = b.emit("", f"getelementptr inbounds i64, ptr @ad.two_over_pi, i64 {index.text}")
        loaded.append(b.emit("i64", f"load i64, ptr {address.text}, align 8"))
    high, middle, low = ((p << shift) | ((q >> 1) >> (63 - shift)) for p, q in itertools.pairwise(loaded))
    wide = m.cast("zext", "i128")
    t0 = wide * low.cast("zext", "i128")
    t1 = wide * middle.cast("zext", "i128") + (t0 >> 64)
    t2 = m * high + (t1 >> 64).cast("trunc", "i64")
    # t2 : t1 : t0 is x * 2/pi modulo 4, 190 bits after the point; as a signed fraction it rounds to the nearest integer
    fraction = (t2.cast("zext", "i128") << 66) | (t1 & (2**64 - 1)) << 2 | (t0 & (2**64 - 1)) >> 62
    negative = fraction < 0
    n = (t2 >> 62) + negative.cast("zext", "i64")
    size = b.select(negative, 0 - fraction, fraction) | 1
    zeros = b.emit("i128", f"call i128 @llvm.ctlz.i128(i128 {size.text}, i1 true)")
    b.declarations["llvm.ctlz.i128"] = "declare i128 @llvm.ctlz.i128(i128, i1)"
    size = size << zeros
    top = (size >> 75).cast("trunc", "i64").cast("sitofp", "double")
    rest = ((size >> 22).cast("trunc", "i64") & ((1 << 53) - 1)).cast("sitofp", "double")
    scale = ((1023 - 53 - zeros.cast("trunc", "i64")) << 52).real()
    scale = b.select(negative, -scale, scale)
    top, rest = top * scale, rest * (scale * 2.0**-53)
    half_pi, half_pi_low, _ = tables.HALF_PI
    r, e = b.two_product(top, b.constant("double", half_pi))
    e = e + b.fma(top, half_pi_low, rest * half_pi)
    r = b.select(x < INF, r, NAN)
    result = "{ double, double, i64 }"
    words = ", ".join(f"i64 {w - (1 << 64) if w >> 63 else w}" for w in tables.TWO_OVER_PI)
    lines = [
        f"@ad.two_over_pi = internal constant [{len(tables.TWO_OVER_PI)} x i64] [{words}]",
        f"define internal {result} @ad.far.f64(double %x) nounwind willreturn memory(none) noinline cold {{",
        "entry:",
        *b.lines,
        f"  %s1 = insertvalue {result} poison, double {r.text}, 0",
        f"  %s2 = insertvalue {result} %s1, double {e.text}, 1",
        f"  %s3 = insertvalue {result} %s2, i64 {n.text}, 2",
        f"  ret {result} %s3",
        "}",
    ]
    return "\n".join(lines), b.declarations


def far_vector(width):
    """The same for a vector, lane by lane."""
    v, vi = f"<{width} x double>", f"<{width} x i64>"
    one, many = "{ double, double, i64 }", f"{{ {v}, {v}, {vi} }}"
    return f"""define internal {many} @ad.far.v{width}f64({v} %x) nounwind willreturn memory(none) noinline cold {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %all = phi {many} [ zeroinitializer, %entry ], [ %s3, %loop ]
  %lane = extractelement {v} %x, i64 %i
  %found = call {one} @ad.far.f64(double %lane)
  %r = extractvalue {one} %found, 0
  %e = extractvalue {one} %found, 1
  %n = extractvalue {one} %found, 2
  %rs = extractvalue {many} %all, 0
  %es = extractvalue {many} %all, 1
  %ns = extractvalue {many} %all, 2
  %r1 = insertelement {v} %rs, double %r, i64 %i
  %e1 = insertelement {v} %es, double %e, i64 %i
  %n1 = insertelement {vi} %ns, i64 %n, i64 %i
  %s1 = insertvalue {many} %all, {v} %r1, 0
  %s2 = insertvalue {many} %s1, {v} %e1, 1
  %s3 = insertvalue {many} %s2, {vi} %n1, 2
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {width}
  br i1 %more, label %loop, label %done
done:
  ret {many} %s3
}}"""


def _far(b, ax, huge, r, rest, t):
    """r, rest and t, those of huge lanes replaced: what stands in the rare branch."""
    text, declarations = far_scalar(b.fma_native)
    b.functions["ad.far.f64"] = text
    b.declarations.update(declarations)
    symbol = "ad.far.f64"
    if b.width > 1:
        symbol = f"ad.far.v{b.width}f64"
        b.functions[symbol] = far_vector(b.width)
    result = f"{{ {b.type('double')}, {b.type('double')}, {b.type('i64')} }}"
    found = b.emit("", f"call {result} @{symbol}({b.type('double')} {ax.text})").text
    far = [b.emit(k, f"extractvalue {result} {found}, {i}") for i, k in enumerate(("double", "double", "i64"))]
    return [b.select(huge, far[0], r), b.select(huge, far[1], rest), b.select(huge, far[2], t)]


def quadrant(b, ax):
    """(r, t): ax = n pi/2 + r for any ax >= 0 (float64), n in the low bits of t."""
    r, t, limit = _near_short(b, ax)
    huge = ax >= limit

    def rare():
        far, rest, n = _far(b, ax, huge, r, b.constant("double", 0.0), t)
        return [far + rest, n]

    return b.where_any(huge, [r, t], rare)


def _sine(b, r, z):
    return b.fma(r * z, b.poly(z, tables.SIN[r.kind]), r)


def _cosine(b, z):
    return b.fma(z, b.fma(z, b.poly(z, tables.COS[z.kind]), -0.5), 1.0)


def _wave(b, x, turn, sign):
    """sin(|x| + turn * pi/2), its sign bit turned by `sign` where that is not None."""
    form = FORMATS[x.kind]
    ax = b.abs(x)
    top = {"i64": 64, "i32": 32}[form.integer]
    if x.kind == "double":
        r, t = quadrant(b, ax)
    else:
        r, t, limit = _near_short(b, ax)
    if turn:
        t = t + turn
    z = r * r
    y = b.select((t << (top - 1)) < 0, _cosine(b, z), _sine(b, r, z))
    flip = (t << (top - 2)) & form.sign
    if sign is not None:
        flip = flip ^ sign
    y = (y.bits() ^ flip).real()
    if x.kind == "float":

        def rare():
            wide = x.cast("fpext", "double")
            return [b.select(ax >= limit, _called(b, "cos" if turn else "sin", wide).cast("fptrunc", "float"), y)]

        (y,) = b.where_any(ax >= limit, [y], rare)
    return y


def _called(b, name, x):
    """A call of the float64 function of that name."""
    from . import definition

    symbol, functions, declarations = definition(name, "double", b.width, b.fma_native, False)
    b.functions.update(functions)
    b.declarations.update(declarations)
    t = b.type("double")
    return b.emit("double", f"call {t} @{symbol}({t} {x.text})")


def sin(b, x):
    return _wave(b, x, 0, x.bits() & FORMATS[x.kind].sign)  # |x| and the sign apart: sin(-0.0) is -0.0


def cos(b, x):
    return _wave(b, x, 1, None)


def tan(b, x):
    """The quotient of sin and cos, each in two parts: one division, and a correction by what it left."""
    form = FORMATS[x.kind]
    ax = b.abs(x)
    r, rest, t, limit = _near(b, ax)
    huge = ax >= limit
    r, rest, t = b.where_any(huge, [r, rest, t], lambda: _far(b, ax, huge, r, rest, t))
    z = r * r
    s, s_low = b.fast_two_sum(r, b.fma(r * z, b.poly(z, tables.SIN[x.kind]), rest))
    c_small = b.fma(z, b.fma(z, b.poly(z, tables.COS[x.kind]), -0.5), -(r * rest))
    c, c_low = b.fast_two_sum(b.constant(x.kind, 1.0), c_small)
    odd = (t << 63) < 0
    top, bottom = b.select(odd, c, s), b.select(odd, s, c)
    top_low, bottom_low = b.select(odd, c_low, s_low), b.select(odd, s_low, c_low)
    y, rest = b.quotient(top, top_low, bottom, bottom_low)
    y = y + rest
    return (y.bits() ^ (t << 63) ^ (x.bits() & form.sign)).real()
