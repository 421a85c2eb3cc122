"""Vector mathematics as LLVM IR text: `request(module, "exp", "double", 8)` gives the symbol of exp on <8 x double>.

Own polynomials, no calls of libm: as fast as vectors are, and the same values on every CPU with fused multiply-add (the
others have a path of their own). docs/vector-math.md has the largest errors. One file a family; `builder` writes the
text; `tables` has the coefficients, fitted by scripts/fit_vecmath.py.
"""

from functools import cache

from . import arcs, exponentials, hyperbolic, roots, special, trigonometry
from .builder import BITS, function

# name -> (function of float64, number of arguments, function of float32 or None: then by way of float64)
FUNCTIONS = {
    "exp": (exponentials.exp, 1, exponentials.exp),
    "exp2": (exponentials.exp2, 1, None),
    "expm1": (exponentials.expm1, 1, exponentials.expm1),
    "log": (exponentials.log, 1, exponentials.log),
    "log1p": (exponentials.log1p, 1, exponentials.log1p),
    "log2": (exponentials.log2, 1, None),
    "log10": (exponentials.log10, 1, None),
    "sigmoid": (exponentials.sigmoid, 1, exponentials.sigmoid),
    "softplus": (exponentials.softplus, 1, exponentials.softplus),
    "logaddexp": (exponentials.logaddexp, 2, None),
    "power": (exponentials.power, 2, None),
    "sin": (trigonometry.sin, 1, trigonometry.sin),
    "cos": (trigonometry.cos, 1, trigonometry.cos),
    "tan": (trigonometry.tan, 1, None),
    "tanh": (hyperbolic.tanh, 1, hyperbolic.tanh),
    "sinh": (hyperbolic.sinh, 1, None),
    "cosh": (hyperbolic.cosh, 1, None),
    "arcsinh": (hyperbolic.arcsinh, 1, None),
    "arccosh": (hyperbolic.arccosh, 1, None),
    "arctanh": (hyperbolic.arctanh, 1, None),
    "arcsin": (arcs.arcsin, 1, None),
    "arccos": (arcs.arccos, 1, None),
    "arctan": (arcs.arctan, 1, None),
    "arctan2": (arcs.arctan2, 2, None),
    "cbrt": (roots.cbrt, 1, None),
    "hypot": (roots.hypot, 2, None),
    "fmod": (roots.fmod, 2, None),
    "erf": (special.erf, 1, None),
    "erfc": (special.erfc, 1, None),
    "lgamma": (special.lgamma, 1, None),
    "digamma": (special.digamma, 1, None),
}
FUNCTIONS["gammaln"] = FUNCTIONS["lgamma"]
BY_DOUBLE = {"power": exponentials.power_short}  # what suffices for a result that is rounded to float32


def supported(name):
    """Is there a function of that NumPy name?"""
    return name in FUNCTIONS


def request(module, name, kind, width, inline=False):
    """The symbol (without @) of a function, whose definition and all it needs are put into the module.

    kind: "double" or "float". width: 1 for scalars, more for vectors of that many lanes. The function is inlined exactly
    if `inline`.
    """
    symbol, functions, declarations = definition(name, kind, width, bool(module.fma), bool(inline))
    for key, text in functions.items():
        module.functions.setdefault(key, text)
    for key, text in declarations.items():
        module.declarations.setdefault(key, text)
    return symbol


@cache
def definition(name, kind, width, fma, inline):
    """(symbol, {symbol: definition}, {symbol: declaration})."""
    double, arity, single = FUNCTIONS[name]
    body = double
    if kind == "float":
        body = single or _through_double(BY_DOUBLE.get(name, double))
    lanes = BITS[kind] if width == 1 else f"v{width}{BITS[kind]}"
    symbol = f"ad.{name}.{lanes}" + (".inline" if inline else "")
    text, declarations, functions = function(symbol, kind, width, arity, fma, inline, body)
    return symbol, {**functions, symbol: text}, declarations


def _through_double(body):
    return lambda b, *xs: body(b, *(x.cast("fpext", "double") for x in xs)).cast("fptrunc", "float")
