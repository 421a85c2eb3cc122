"""Fit the polynomials and rational functions of adjoint/compiler/native/vecmath/, and write its tables.py.

    python scripts/fit_vecmath.py            print each fit's largest error
    python scripts/fit_vecmath.py --write    and write the tables

Polynomials interpolate at Chebyshev nodes, rational functions too (P - f Q = 0 there, a linear system): within a bit of
the best approximation. Each row of FITS says which error matters: `scale(x)` is what the fitted value is multiplied by,
relative to the function's result; the printed error is log2 of the largest |error * scale|, coefficients rounded.
"""

import sys
import textwrap
from pathlib import Path

import mpmath as mp
from mpmath import mpf

mp.mp.dps = 80
TABLES = Path(__file__).parent.parent / "adjoint/compiler/native/vecmath/tables.py"


def at(f):
    """f, with its limit at 0 where the formula is 0 / 0."""
    return lambda x: f(x if abs(x) > mpf(10) ** -18 else mpf(10) ** -18)


def nodes(a, b, n):
    """Chebyshev's, in x; or, for a > 0, in (x - K) / (x + K): as dense towards 0 as towards infinity."""
    k = mp.sqrt(a * b) if a > 0 else None
    if k:
        a, b = (a - k) / (a + k), (b - k) / (b + k)
    ts = [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]
    return [k * (1 + t) / (1 - t) for t in ts] if k else ts


def polynomial(f, a, b, n):
    """Coefficients of the polynomial in x, lowest first."""
    return mp.chebyfit(f, [a, b], n)[::-1]


def rational(f, a, b, p, q):
    """(numerator, denominator) coefficients, lowest first; p + q + 2 of them, the denominator's first is 1."""
    xs = nodes(a, b, p + q + 1)
    rows = [[x**k for k in range(p + 1)] + [-f(x) * x**k for k in range(1, q + 1)] for x in xs]
    solved = list(mp.lu_solve(mp.matrix(rows), mp.matrix([f(x) for x in xs])))
    return solved[: p + 1], [mpf(1), *solved[p + 1 :]]


def evaluate(coefficients, x):
    return mp.polyval([mpf(c) for c in reversed(coefficients)], x)


def rounded(coefficients, kind):
    import numpy as np

    kind = {"double": float, "float": lambda c: float(np.float32(float(c)))}[kind]
    return tuple(kind(c) for c in coefficients)


EXP = mpf("0.3475")  # half of log 2, and what a rounded quotient may be off
LOG = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.001")  # s**2 for s = (m - 1) / (m + 1), m up to sqrt 2
TRIG = mpf("0.787") ** 2
LN2 = mp.log(2)
one = lambda x: 1


def erfcx(x):
    return mp.exp(x * x) * mp.erfc(x)


def off(points, f):
    """f, with its limit at points where the formula is 0 / 0."""
    return lambda x: f(x + mpf(10) ** -25 if any(abs(x - p) < mpf(10) ** -25 for p in points) else x)


DIGAMMA_ZERO = mp.findroot(mp.digamma, mpf("1.46"))
lgamma_factor = off((1, 2), lambda x: mp.loggamma(x) / ((x - 1) * (x - 2)))
digamma_factor = off((DIGAMMA_ZERO,), lambda x: mp.digamma(x) / (x - DIGAMMA_ZERO))


def lgamma_tail(z):
    if z < mpf(10) ** -12:
        return mpf(1) / 12 - z / 360
    x = 1 / mp.sqrt(z)
    return (mp.loggamma(x) - (x - mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2) * x


def digamma_tail(z):
    if z < mpf(10) ** -12:
        return mpf(1) / 12 - z / 120
    x = 1 / mp.sqrt(z)
    return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / z


def root(f):
    """g(z) = f(sqrt z)."""
    return lambda z: f(mp.sqrt(z))


# name: (function, interval, {kind: number of coefficients, or (p, q) degrees}, scale)
FITS = {
    # e**r = 1 + r + r**2 q(r)
    "EXP": (lambda r: (mp.expm1(r) - r) / r**2, (-EXP, EXP), {"double": 10, "float": 5}, lambda r: r**2 / mp.exp(r)),
    # 2**r = 1 + r q(r)
    "EXP2": (lambda r: mp.expm1(r * LN2) / r, (-mpf("0.501"), mpf("0.501")), {"double": 12}, lambda r: r),
    # log m = 2 s + s z q(z), s = (m - 1) / (m + 1), z = s**2
    "LOG": (root(lambda s: (2 * mp.atanh(s) / s - 2) / s**2), (0, LOG), {"double": 7, "float": 3}, lambda z: z / 2),
    # atanh s = s (1 + z / 3 + z**2 q(z))
    "LOG_TAIL": (root(lambda s: (mp.atanh(s) / s - 1 - s**2 / 3) / s**4), (0, LOG), {"double": 7}, lambda z: z**2),
    # sin r = r + r z q(z), cos r = 1 - z / 2 + z**2 q(z)
    "SIN": (root(lambda r: (mp.sin(r) / r - 1) / r**2), (0, TRIG), {"double": 6, "float": 4}, lambda z: z),
    "COS": (root(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4), (0, TRIG), {"double": 6, "float": 4}, lambda z: z**2),
    # tanh x = x + x z p(z) / q(z) for |x| <= 5 / 8
    "TANH": (root(lambda x: (mp.tanh(x) / x - 1) / x**2), (0, mpf("0.3911")), {"double": (2, 3), "float": (1, 1)}, lambda z: z),
    # sinh r = r + r z q(z), cosh r = 1 + z q(z)
    "SINH": (root(lambda r: (mp.sinh(r) / r - 1) / r**2), (0, EXP**2), {"double": 6}, lambda z: z),
    "COSH": (root(lambda r: (mp.cosh(r) - 1) / r**2), (0, EXP**2), {"double": 7}, lambda z: z),
    # arcsin x = x + x z q(z) for |x| <= 1/2, and so arctan
    "ARCSIN": (root(lambda x: (mp.asin(x) / x - 1) / x**2), (0, mpf("0.2501")), {"double": 13}, lambda z: z),
    "ARCTAN": (root(lambda x: (mp.atan(x) / x - 1) / x**2), (0, mpf("0.2501")), {"double": 13}, lambda z: z),
    # y**(-1/3), for y = t**3 / x and a first guess t of the cube root of x
    "CBRT": (lambda y: 1 / mp.cbrt(y), (mpf("0.909"), mpf("1.1")), {"double": 5}, one),
    # log gamma(x) = (x - 1) (x - 2) 2 / (x + 2.4375) (1 + p / q) up to 8,
    # then (x - 1/2) (log x - 1) + log(2 pi) / 2 - 1/2 + q(z) / x, z = 1 / x**2
    "LGAMMA": (lambda x: lgamma_factor(x) * (x + mpf("2.4375")) / 2 - 1, (mpf("0.65"), mpf(8)), {"double": (12, 11)}, one),
    "LGAMMA_FAR": (lgamma_tail, (0, mpf(1) / 64), {"double": 7}, one),
    # digamma x = (x - x0) 2.5 / (x + 1) (1 + p / q) up to 10, x0 its zero; then log x - 1 / (2 x) - z q(z)
    "DIGAMMA": (lambda x: digamma_factor(x) * (x + 1) * 2 / 5 - 1, (mpf("0.69"), mpf(10)), {"double": (9, 10)}, one),
    "DIGAMMA_FAR": (digamma_tail, (0, mpf(1) / 100), {"double": 6}, lambda z: z),
    # erf x = x + x q(z), z = x**2, for |x| <= 1
    "ERF": (root(lambda x: mp.erf(x) / x - 1), (0, mpf("1.001")), {"double": 13}, one),
    # erfc x = exp(-x**2) p(x) / q(x) where erf is wanted; 1 / sqrt(pi) exp(-x**2) / (x + 0.4375) (1 + p / q) for erfc
    "ERFC": (lambda x: erfcx(x) * mp.sqrt(mp.pi) * (x + mpf("0.4375")) - 1, (mpf("0.46"), mpf("27.5")), {"double": (10, 11)}, one),
    "ERFCX_MID": (erfcx, (mpf("0.99"), mpf("6")), {"double": (7, 8)}, lambda x: mp.exp(-x * x)),
}  # fmt: skip

# name: (value, bits of each part but the last): the value as a sum of floats. A part of few bits multiplies exactly.
PARTS = {
    "DIGAMMA_ZERO": (DIGAMMA_ZERO, [53]),
    "QUARTER_PI": (mp.pi / 4, [53]),
    "THREE_QUARTERS_PI": (3 * mp.pi / 4, [53]),
    "PI": (mp.pi, [53]),
    "ROOT_OF_PI_INVERSE": (1 / mp.sqrt(mp.pi), [53]),
    "LOG_PI": (mp.log(mp.pi), [53]),
    "STIRLING": (mp.log(2 * mp.pi) / 2 - mpf(1) / 2, []),
    "LOG2_E": (1 / LN2, [32]),
    "LOG10_E": (1 / mp.log(10), [32]),
    "LOG10_2": (LN2 / mp.log(10), [32]),
    "HALF_PI": (mp.pi / 2, [53, 53]),
    "HALF_PI_SHORT": (mp.pi / 2, [33, 33, 33]),  # for CPUs without fused multiply-add: n * part is exact to n = 2**20
    "HALF_PI_FLOAT": (mp.pi / 2, [24, 24]),
    "HALF_PI_SHORT_FLOAT": (mp.pi / 2, [8, 8, 8, 8]),
}


def parts(value, bits):
    found = []
    for n in bits:
        unit = mpf(2) ** (n - 1 - mp.floor(mp.log(abs(value), 2)))
        found.append(float(mp.nint(value * unit) / unit))
        value -= found[-1]
    return *found, float(value)


def two_over_pi():
    """64 zero bits, then the bits of 2 / pi after the point: what an argument of any size is multiplied by."""
    with mp.workprec(1400):
        n = int(mp.floor(2 / mp.pi * mpf(2) ** (19 * 64)))
    return tuple((n >> (64 * k)) & (2**64 - 1) for k in range(19, -1, -1))


def fit(name):
    """({kind: table}, report lines)."""
    f, (a, b), sizes, scale = FITS[name]
    f, a, b = at(f), mpf(a), mpf(b)
    tables, report = {}, []
    for kind, size in sizes.items():
        if isinstance(size, tuple):
            p, q = (rounded(c, kind) for c in rational(f, a, b, *size))
            tables[kind] = (p, q)
            value = lambda x, p=p, q=q: evaluate(p, x) / evaluate(q, x)
        else:
            p = rounded(polynomial(f, a, b, size), kind)
            tables[kind] = p
            value = lambda x, p=p: evaluate(p, x)
        xs = [a + (b - a) * mpf(k) / 300 for k in range(301)]
        worst = max(abs((value(x) - f(x)) * scale(x)) for x in xs)
        report.append(f"{name:<12}{kind:<8}{size!s:<10}2**{float(mp.log(worst, 2)):.1f}")
    return tables, report


def written(name, value):
    return textwrap.fill(
        f"{name} = {value!r}", 118, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def main(write):
    lines = [
        '"""Coefficients, lowest power first, by name and kind: written by scripts/fit_vecmath.py."""',
        "",
        "# fmt: off",
    ]
    for name in FITS:
        tables, report = fit(name)
        print(*report, sep="\n", flush=True)
        lines.append(written(name, tables).replace("'", '"'))
    lines += [written(name, parts(*row)) for name, row in PARTS.items()]
    lines.append(written("TWO_OVER_PI", two_over_pi()))
    if write:
        TABLES.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main("--write" in sys.argv)
