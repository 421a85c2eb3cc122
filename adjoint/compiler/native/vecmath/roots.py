"""Cube roots, the length of (x, y), and the remainder of a division."""

import math

from . import tables
from .exponentials import FORMATS, signed

INF = math.inf
_THIRD = (
    715094163  # 1023 - 1023 / 3 in the upper half of a double, less what makes the guess's errors alike on both sides
)


def cbrt(b, x):
    """A guess from a third of the exponent, a polynomial that makes it good to 23 bits, one step of Halley's."""
    form = FORMATS[x.kind]
    ax = b.abs(x)
    subnormal = ax < form.tiny
    upper = b.select(subnormal, ax * 2.0**54, ax).bits() >> 32
    third = (upper * 0x55555556) >> 32
    third = third + b.choose("i64", subnormal, _THIRD - (18 << 20), _THIRD)
    t = (third << 32).real()
    t = t * b.horner((t * t) * (t / ax), tables.CBRT[x.kind])
    t = ((t.bits() + (1 << 31)) & -(1 << 30)).real()  # few bits: t * t is exact
    r = ax / (t * t)
    t = b.fma(t, (r - t) / ((t + t) + r), t)
    return b.select((ax > 0.0) & (ax < INF), signed(b, t, x), x)


def hypot(b, x, y):
    """sqrt(x**2 + y**2), scaled by a power of two where the squares would leave the normal numbers."""
    x, y = b.abs(x), b.abs(y)
    high, low = b.select(x > y, x, y), b.select(x > y, y, x)
    large, small = high > 2.0**500, high < 2.0**-500
    scale = b.select(large, 2.0**-600, b.choose(x.kind, small, 2.0**600, 1.0))
    back = b.select(large, 2.0**600, b.choose(x.kind, small, 2.0**-600, 1.0))
    high, low = high * scale, low * scale
    length = b.sqrt(b.fma(high, high, low * low)) * back
    return b.select(x.equals(INF) | y.equals(INF), INF, length)


# x mod y for 0 <= x, 0 <= y, exactly: long division, eleven bits at a time
_FMOD_SCALAR = """define internal double @ad.fmod.far.f64(double %x, double %y) nounwind willreturn memory(none) noinline cold {
entry:
  %finite = fcmp olt double %x, 0x7FF0000000000000
  %divides = fcmp ogt double %y, 0.0
  %good = and i1 %finite, %divides
  br i1 %good, label %compare, label %nan
nan:
  ret double 0x7FF8000000000000
compare:
  %less = fcmp olt double %x, %y
  br i1 %less, label %same, label %start
same:
  ret double %x
start:
  %xb = bitcast double %x to i64
  %yb = bitcast double %y to i64
  %xf = lshr i64 %xb, 52
  %yf = lshr i64 %yb, 52
  %xn = icmp ne i64 %xf, 0
  %yn = icmp ne i64 %yf, 0
  %xlow = and i64 %xb, 4503599627370495
  %ylow = and i64 %yb, 4503599627370495
  %xh = select i1 %xn, i64 4503599627370496, i64 0
  %yh = select i1 %yn, i64 4503599627370496, i64 0
  %xm0 = or i64 %xlow, %xh
  %ym0 = or i64 %ylow, %yh
  %xe0 = select i1 %xn, i64 %xf, i64 1
  %ye0 = select i1 %yn, i64 %yf, i64 1
  %xz = call i64 @llvm.ctlz.i64(i64 %xm0, i1 false)
  %yz = call i64 @llvm.ctlz.i64(i64 %ym0, i1 false)
  %xs = sub i64 %xz, 11
  %ys = sub i64 %yz, 11
  %xm = shl i64 %xm0, %xs
  %ym = shl i64 %ym0, %ys
  %xe = sub i64 %xe0, %xs
  %ye = sub i64 %ye0, %ys
  %d0 = sub i64 %xe, %ye
  %m0 = urem i64 %xm, %ym
  br label %loop
loop:
  %d = phi i64 [ %d0, %start ], [ %d1, %step ]
  %m = phi i64 [ %m0, %start ], [ %m1, %step ]
  %more = icmp sgt i64 %d, 0
  br i1 %more, label %step, label %done
step:
  %big = icmp sgt i64 %d, 11
  %s = select i1 %big, i64 11, i64 %d
  %lifted = shl i64 %m, %s
  %m1 = urem i64 %lifted, %ym
  %d1 = sub i64 %d, %s
  br label %loop
done:
  %f = sitofp i64 %m to double
  %e = sub i64 %ye, 1075
  %e1 = ashr i64 %e, 1
  %e2 = sub i64 %e, %e1
  %b1 = add i64 %e1, 1023
  %b2 = add i64 %e2, 1023
  %c1 = shl i64 %b1, 52
  %c2 = shl i64 %b2, 52
  %f1 = bitcast i64 %c1 to double
  %f2 = bitcast i64 %c2 to double
  %p = fmul double %f, %f1
  %r = fmul double %p, %f2
  ret double %r
}"""


def _fmod_vector(width):
    v = f"<{width} x double>"
    return f"""define internal {v} @ad.fmod.far.v{width}f64({v} %x, {v} %y) nounwind willreturn memory(none) noinline cold {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %rs = phi {v} [ zeroinitializer, %entry ], [ %r1, %loop ]
  %a = extractelement {v} %x, i64 %i
  %b = extractelement {v} %y, i64 %i
  %r = call double @ad.fmod.far.f64(double %a, double %b)
  %r1 = insertelement {v} %rs, double %r, i64 %i
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {width}
  br i1 %more, label %loop, label %done
done:
  ret {v} %r1
}}"""


def fmod(b, x, y):
    """x - n y with n = x / y rounded towards 0, exactly; in one step while n is below 2**31."""
    ax, ay = b.abs(x), b.abs(y)
    quotient = ax / ay
    n = (quotient + 2.0**52) - 2.0**52  # to nearest: one too large at most
    p, e = b.two_product(n, ay)
    r = (ax - p) - e
    r = b.select(r < 0.0, r + ay, r)
    easy = (quotient < 2.0**31) & (ax < 2.0**1023)  # beyond, n * y may overflow
    if not b.fma_native:  # the halves of Dekker's product must neither overflow nor be subnormal
        easy = easy & (ay > 2.0**-900) & (ay < 2.0**900)

    def rare():
        b.functions["ad.fmod.far.f64"] = _FMOD_SCALAR
        b.declarations["llvm.ctlz.i64"] = "declare i64 @llvm.ctlz.i64(i64, i1)"
        symbol = "ad.fmod.far.f64"
        if b.width > 1:
            symbol = f"ad.fmod.far.v{b.width}f64"
            b.functions[symbol] = _fmod_vector(b.width)
        t = b.type("double")
        return [b.select(easy, r, b.emit("double", f"call {t} @{symbol}({t} {ax.text}, {t} {ay.text})"))]

    (r,) = b.where_any(~easy, [r], rare)
    return signed(b, b.select(ax < ay, ax, r), x)
