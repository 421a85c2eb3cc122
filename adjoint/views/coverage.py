"""Coverage: what a tensor meets in each public function of NumPy, each method of ndarray and each special function.

Nothing is looked up in a list of claims: each function is called on tensors under a tape, and what comes back decides.

    state            meaning
    differentiable   a result is followed by the tape: there is a derivative, by a rule or by composition
    no derivative    integers, booleans, steps, shapes: the answer comes from the values, as NumPy gives it
    creation         takes no tensor
    refused          raises an error that names the way out (given in the table)
    not covered      raises the general error: there is no rule here
"""

import inspect
import types
import warnings

import numpy as np

from .. import numpy as _ours  # noqa: F401  (fills the tables)
from ..core.errors import AdjointError
from ..core.tensor import FUNCTIONS, REFUSED, UFUNCS, Tensor, is_tracked
from ..transforms.derivatives import vjp
from .measured import MODES, measure, number

STATES = ("differentiable", "no derivative", "creation", "refused", "not covered")

_V = np.array([0.3, 0.5, 0.7])
_M = np.array([[2.0, 0.3, 0.1], [0.2, 1.5, 0.4], [0.1, 0.2, 1.2]])
_F = np.array([False, True, True])


def _into(f, *args, shape=(3,)):
    """A tensor after f has written into it."""
    a = FUNCTIONS[np.zeros_like](np.zeros(shape))
    f(a, *args)
    return a


# How to call what three numbers or a matrix alone do not suit. x is a vector in (0, 1) of three, m a matrix.
_CALLS = {
    "apply_along_axis": lambda f, x, m: f(np.sum, 0, m),
    "apply_over_axes": lambda f, x, m: f(np.sum, m, 0),
    "array_split": lambda f, x, m: f(x, 3),
    "astype": lambda f, x, m: f(x, np.complex128),
    "bincount": lambda f, x, m: f([0, 1, 1], x),
    "block": lambda f, x, m: f([x, x]),
    "broadcast_to": lambda f, x, m: f(x, (2, 3)),
    "choose": lambda f, x, m: f([0, 1, 0], [x, x]),
    "compress": lambda f, x, m: f(_F, x),
    "copyto": lambda f, x, m: _into(f, x),
    "cross": lambda f, x, m: f(x, x),
    "delete": lambda f, x, m: f(x, 1),
    "dsplit": lambda f, x, m: f(m[None], 3),
    "einsum": lambda f, x, m: f("i,ij", x, m),
    "einsum_path": lambda f, x, m: f("i,ij", x, m),
    "expand_dims": lambda f, x, m: f(x, 0),
    "extract": lambda f, x, m: f(_F, x),
    "fill_diagonal": lambda f, x, m: _into(f, x, shape=(3, 3)),
    "full_like": lambda f, x, m: f(x, x[0]),
    "hsplit": lambda f, x, m: f(x, 3),
    "insert": lambda f, x, m: f(x, 1, 2.0),
    "interp": lambda f, x, m: f(0.4, x, x),
    "ix_": lambda f, x, m: f(x > 0.4),
    "angle": lambda f, x, m: f(x + 1j * x),
    "asfortranarray": lambda f, x, m: f(x),
    "asarray_chkfinite": lambda f, x, m: f(x),
    "asmatrix": lambda f, x, m: f(m),
    "bmat": lambda f, x, m: f([[m, m]]),
    "arange": lambda f, x, m: f(x[0], 3.0),
    "full": lambda f, x, m: f(3, x[0]),
    "fromiter": lambda f, x, m: f(x, float),
    "kaiser": lambda f, x, m: f(3, x[0]),
    "row_stack": lambda f, x, m: f([x, x]),
    "lib.stride_tricks.as_strided": lambda f, x, m: f(x, (2, 2), (8, 8)),
    "packbits": lambda f, x, m: f(x > 0.4),
    "pad": lambda f, x, m: f(x, 1),
    "unpackbits": lambda f, x, m: f(np.astype(x, np.uint8)),
    "ldexp": lambda f, x, m: f(x, np.array([1, 2, 3])),
    "linalg.multi_dot": lambda f, x, m: f([m, m]),
    "linalg.matrix_power": lambda f, x, m: f(m, 3),
    "linalg.tensorsolve": lambda f, x, m: f(m, x),
    "linalg.tensorinv": lambda f, x, m: f(m, 1),
    "linalg.vecdot": lambda f, x, m: f(x, x),
    "matvec": lambda f, x, m: f(m, x),
    "moveaxis": lambda f, x, m: f(m, 0, 1),
    "partition": lambda f, x, m: f(x, 1),
    "argpartition": lambda f, x, m: f(x, 1),
    "percentile": lambda f, x, m: f(x, 30),
    "nanpercentile": lambda f, x, m: f(x, 30),
    "piecewise": lambda f, x, m: f(x, [x < 0.4], [np.sin, np.cos]),
    "place": lambda f, x, m: _into(f, _F, x),
    "polyfit": lambda f, x, m: f(x, x, 1),
    "put": lambda f, x, m: _into(f, [0, 1, 2], x),
    "put_along_axis": lambda f, x, m: _into(f, np.array([0, 1, 2]), x, 0),
    "putmask": lambda f, x, m: _into(f, _F, x),
    "quantile": lambda f, x, m: f(x, 0.3),
    "nanquantile": lambda f, x, m: f(x, 0.3),
    "ravel_multi_index": lambda f, x, m: f((np.astype(x, int), np.astype(x, int)), (3, 3)),
    "repeat": lambda f, x, m: f(x, 2),
    "reshape": lambda f, x, m: f(x, (3, 1)),
    "resize": lambda f, x, m: f(x, (2, 3)),
    "roll": lambda f, x, m: f(x, 1),
    "rollaxis": lambda f, x, m: f(m, 1),
    "save": lambda f, x, m: f("/", x),
    "savetxt": lambda f, x, m: f("/", x),
    "savez": lambda f, x, m: f("/", x),
    "savez_compressed": lambda f, x, m: f("/", x),
    "select": lambda f, x, m: f([_F], [x]),
    "split": lambda f, x, m: f(x, 3),
    "swapaxes": lambda f, x, m: f(m, 0, 1),
    "take": lambda f, x, m: f(x, [0, 1]),
    "take_along_axis": lambda f, x, m: f(x, np.array([0, 1]), 0),
    "tile": lambda f, x, m: f(x, 2),
    "unravel_index": lambda f, x, m: f(np.astype(x, int), (3, 3)),
    "vecmat": lambda f, x, m: f(x, m),
    "vsplit": lambda f, x, m: f(m, 3),
    "where": lambda f, x, m: f(_F, x, x),
    "lib.stride_tricks.sliding_window_view": lambda f, x, m: f(x, 2),
    "broadcast_arrays": lambda f, x, m: f(x, m),
    "histogramdd": lambda f, x, m: f([_V, _V], 2, weights=x),
    "histogram": lambda f, x, m: f(_V, 2, weights=x),
    "histogram2d": lambda f, x, m: f(_V, _V, 2, weights=x),
    "linalg.cross": lambda f, x, m: f(x, x),
    "linalg.lstsq": lambda f, x, m: f(m, x),
    "linalg.solve": lambda f, x, m: f(m, x),
    "require": lambda f, x, m: f(x, requirements="C"),
    "isdtype": lambda f, x, m: f(np.dtype(float), "numeric"),
    "unique_values": lambda f, x, m: np.sort(f(x)),  # in no order
    "frexp": lambda f, x, m: f(1.1 * x),
    "special.besselpoly": lambda f, x, m: f(x, 1, 2),
    "special.bdtrik": lambda f, x, m: f(0.4 + 0.3 * x, 8.0, 0.4),
    "special.nbdtrik": lambda f, x, m: f(0.4 + 0.3 * x, 5.0, 0.4),
    "special.pdtrik": lambda f, x, m: f(0.4 + 0.3 * x, 3.0),
    "special.fdtridfd": lambda f, x, m: f(2.0, 0.49 + 0.04 * x, 0.9),
    "special.chndtrinc": lambda f, x, m: f(3.5, 3.0, 0.2 + 0.2 * x),
    "special.chndtrix": lambda f, x, m: f(x, 3.0, 1.0),
    "special.chndtr": lambda f, x, m: f(x, 3.0, 1.0),
    "special.stdtridf": lambda f, x, m: f(0.82 + 0.02 * x, 1.1),
    "special.stdtrit": lambda f, x, m: f(2.0, x),
    "special.nrdtrisd": lambda f, x, m: f(0.0, 0.6 + 0.2 * x, 1.0),
}
_DEFAULTS = (
    lambda f, x, m: f(x),
    lambda f, x, m: f(m),
    lambda f, x, m: f(x, x),
    lambda f, x, m: f(m, m),
    lambda f, x, m: f([x, x]),
    lambda f, x, m: f(m, x),
    lambda f, x, m: f(x, x, x),
    lambda f, x, m: f(1, x),
    lambda f, x, m: f(1, 1, x),
    lambda f, x, m: f(1, 1, 1, x),
    lambda f, x, m: f(x, x, x, x),
    lambda f, x, m: f(np.astype(x, int)),
    lambda f, x, m: f(np.astype(x, int), np.astype(x, int)),
    lambda f, x, m: f(x > 0.4),
    lambda f, x, m: f(1 + x),
    lambda f, x, m: f(-x),
    lambda f, x, m: f(3, 8, x),
    lambda f, x, m: f(1, 2, 1, 1 + x),
)
_METHOD_CALLS = {
    "astype": (np.complex128,), "choose": ([0.0, 1.0],), "compress": (_F,), "dot": (_V,), "repeat": (2,), "reshape": (3, 1),
    "searchsorted": (0.4,), "take": ([0, 1],), "fill": (0.0,), "itemset": (0, 1.0), "partition": (1,), "put": (0, 1.0),
    "argpartition": (1,), "resize": (3,), "setfield": (0.0, float), "getfield": (float,), "tofile": ("/",), "item": (0,),
    "dump": ("/",), "to_device": ("cpu",), "swapaxes": (0, 0), "clip": (0.4, 0.6),
}  # fmt: skip
_INTEGER_METHODS = ("choose",)
_SQUARE_METHODS = ("diagonal", "trace", "mT")


def _attempt(call):
    """(state, text, usual) of calling call(x, m) on tensors that a tape follows, and of walking back; an error that is
    nobody's is raised. usual: whether the derivative is finite there."""
    seen = []

    def f(x, m):
        y = call(x, m)
        seen.append(_carries(y))
        return number(lambda *_: y)(x, m) + 0.0 * x[0] if seen[0] else x[0]

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y, pull = vjp(f, _V, _M)
            usual = all(np.isfinite(g).all() for g in pull(np.ones_like(y)))
    except AdjointError as error:
        text = str(error)
        general = "it has no derivative rule here" in text or "has no derivative rule;" in text
        return ("not covered" if general else "refused"), text, False
    return ("differentiable" if seen and seen[0] else "no derivative"), "", usual


def _carries(y):
    """Whether a derivative flows through a result: the tape follows it, or a part of it, and it is no whole number."""
    if isinstance(y, (tuple, list)):
        return any(map(_carries, y))
    return is_tracked(y) and y.dtype.kind in "fc"


def _shorten(text):
    """The message without the place in the user's file, which is ours here."""
    import re

    text = re.sub(r" \([\w./ <>-]+:\d+\)", "", text).split("; compose it from")[0]
    return " ".join(text.split())[:300]


def classify(name, f):
    """(state, message, call) of one function of NumPy's or SciPy's; call(x, m) calls it, if it is differentiable."""
    if f not in FUNCTIONS and f not in UFUNCS and f not in REFUSED and not _asks(f) and name not in _CALLS:
        return "creation", "", None
    if _kind(f) == "nondiff":
        return "no derivative", "", None
    calls = [_CALLS[name]] if name in _CALLS else _DEFAULTS
    found = None
    for call in calls:
        once = lambda x, m, call=call: call(_alone(f), x, m)
        try:
            state, text, usual = _attempt(once)
        except Exception:  # not called as it wants to be
            continue
        if state == "differentiable" and usual:
            return state, "", once
        if found is None or state == "differentiable":  # the calls with floats come first
            found = (state, text, once if state == "differentiable" else None)
    if found is None:
        known = f in FUNCTIONS or f in UFUNCS
        found = (
            ("no derivative", "", None)
            if known
            else ("refused", REFUSED[f], None)
            if f in REFUSED
            else ("not covered", "", None)
        )
    return found[0], _shorten(found[1]), found[2]


def _alone(f):
    """f; of a ufunc, without the places for results behind its arguments, into which it would write."""
    if not isinstance(f, np.ufunc):
        return f

    def call(*args):
        if len(args) > f.nin:
            raise TypeError(f"{f.__name__} takes {f.nin} arguments, not {len(args)}")
        return f(*args)

    return call


def _kind(f):
    op = getattr(FUNCTIONS.get(f) or UFUNCS.get(f), "op", None)
    return op.kind if op is not None else None


def _asks(f):
    """Whether NumPy asks its arguments about a function: it dispatches."""
    return isinstance(f, np.ufunc) or hasattr(f, "_implementation")


def _functions(module, prefix):
    names = getattr(module, "__all__", None) or dir(module)
    for name in sorted(set(names)):
        f = getattr(module, name, None)
        if name.startswith("_") or f is None or isinstance(f, (type, types.ModuleType)) or not callable(f):
            continue
        if isinstance(f, np.ufunc) or inspect.isroutine(f) or hasattr(f, "_implementation"):
            yield prefix + name, f


def _methods():
    for name in sorted(n for n in dir(np.ndarray) if not n.startswith("_")):
        yield name, _method(name)


def _method(name):
    if name == "trace":  # taken by the tensor's own attribute
        return "refused", "TypeError: the attribute x.trace is the trace that sees the tensor; use np.trace(x)", None
    if not hasattr(Tensor, name):
        return "not covered", "AttributeError", None
    args = _METHOD_CALLS.get(name, ())

    def call(x, m):
        x = m if name in _SQUARE_METHODS else np.astype(x, int) if name in _INTEGER_METHODS else x * 1.0
        y = getattr(x, name)
        y = y(*args) if callable(y) and name not in ("dtype",) else y
        return x if name == "fill" else np.ravel(y) if name == "flat" else y

    try:
        state, text, _ = _attempt(call)
    except AttributeError as error:
        return "refused", _shorten(str(error)), None
    except Exception as error:
        return "not covered", f"{type(error).__name__}: {error}", None
    return state, _shorten(text), call


_OBJECTS = {  # what is called by indexing, or made first
    "r_": lambda x, m: np.r_[x, 1.0],
    "c_": lambda x, m: np.c_[x, x],
    "mgrid": lambda x, m: np.mgrid[0.0 : x[0] : 3j],
    "ogrid": lambda x, m: np.ogrid[0.0 : x[0] : 3j],
    "s_": lambda x, m: x[np.s_[1:]],
    "vectorize": lambda x, m: np.vectorize(lambda v: v * 2)(x),
    "add.reduce": lambda x, m: np.add.reduce(x),
    "add.accumulate": lambda x, m: np.add.accumulate(x),
    "add.reduceat": lambda x, m: np.add.reduceat(x, [0, 1]),
    "add.outer": lambda x, m: np.add.outer(x, x),
    "add.at": lambda x, m: np.add.at(np.zeros(3), [0, 1, 2], x),
    "add(out=)": lambda x, m: np.add(x, x, out=np.zeros(3)),
    "add(where=)": lambda x, m: np.add(x, x, where=_F),
    "sum(where=)": lambda x, m: np.sum(x, where=_F),
}


def _state(call):
    try:
        state, text, _ = _attempt(call)
    except Exception as error:
        return "not covered", f"{type(error).__name__}: {_shorten(str(error))}", None
    return state, _shorten(text), call


def table():
    """{group: [(name, state, message), ...]}, found by calling each function."""
    return {group: [row[:3] for row in rows] for group, rows in _rows().items()}


def _rows():
    """As `table`, with call(x, m) for each row, None where it is not differentiable."""
    groups = {}
    for title, module, prefix in (
        ("numpy", np, ""),
        ("numpy.linalg", np.linalg, "linalg."),
        ("numpy.fft", np.fft, "fft."),
        ("numpy.lib.stride_tricks", np.lib.stride_tricks, "lib.stride_tricks."),
    ):
        extra = [] if title != "numpy.lib.stride_tricks" else [("lib.stride_tricks.as_strided", module.as_strided)]
        rows = dict(_functions(module, prefix)) | dict(extra)
        groups[title] = [(name, *classify(name, f)) for name, f in sorted(rows.items())]
    groups["numpy, by indexing"] = [(name, *_state(call)) for name, call in _OBJECTS.items()]
    groups["numpy.ndarray"] = [(f"ndarray.{name}", *found) for name, found in _methods()]
    try:
        import scipy.special as special

        from ..scipy import special as _mirror  # noqa: F401  (fills the tables)
    except ImportError:
        return groups
    names = {name: f for name, f in _functions(special, "special.") if isinstance(f, np.ufunc)}
    groups["scipy.special (ufuncs)"] = [(name, *classify(name, f)) for name, f in sorted(names.items())]
    return groups


def counts(groups):
    """{group: {state: how many}}."""
    return {g: {s: sum(row[1] == s for row in rows) for s in STATES} for g, rows in groups.items()}


def markdown():
    """The page `docs/coverage.md`."""
    groups = _rows()
    lines = [
        "# What is covered",
        "",
        "Every public function of NumPy, every method of its arrays and every ufunc of `scipy.special`, called on tensors that are",
        "being differentiated; what comes back decides. Written by `adjoint coverage --markdown`.",
        "",
        "* **differentiable**: by a rule of its own or composed of ops that have rules.",
        "* **no derivative**: whole numbers, truth values, steps, shapes: the answer is NumPy's, and no derivative flows.",
        "* **creation**: takes no tensor, or NumPy asks nobody about it.",
        "* **refused**: an error that says why and what to do.",
        "* **not covered**: the general error that there is no rule, never a detached number.",
        "",
        "| | " + " | ".join(STATES) + " |",
        "|---|" + "---|" * len(STATES),
    ]
    for group, row in counts(groups).items():
        lines.append(f"| {group} | " + " | ".join(str(row[s]) for s in STATES) + " |")
    lines += [
        "",
        "## How to read the tables",
        "",
        "Each function is called at one point and made a number. *by*: `rule`, or the ops it is composed of; `by the values` where",
        "what it computes depends on them, so it runs under `grad` and `jvp` and not in a captured graph. *modes*: R reverse, F",
        "forward, B batch (`vmap` of the gradient is a loop), 2 second derivative: the letter is there if the result was right.",
        "*dtypes*: 64 and 32 for float64 and float32 (the gradient stays float32), C for complex arguments, C! where NumPy takes",
        "them and the derivative is refused. *error*: of the gradient along two directions, relative to it: against the complex",
        "step (c) where NumPy's function is analytic, else against extrapolated differences (d), which are good to 1e-9 or so",
        "themselves. The laws in `tests/` test every op at more points, dtypes and shapes, and against mpmath in the tails.",
    ]
    for group, rows in groups.items():
        lines += ["", f"## {group}", ""]
        found = [(name, call) for name, s, _, call in rows if s == "differentiable"]
        if found:
            lines += ["| differentiable | by | modes | dtypes | error |", "|---|---|---|---|---|"]
            lines += [_measured_row(name, call) for name, call in found]
            lines.append("")
        for state in STATES[1:]:
            names = [name for name, s, *_ in rows if s == state]
            if names and state != "refused":
                lines += [f"**{state}** ({len(names)}): " + ", ".join(f"`{n}`" for n in names), ""]
        refused = [(name, text) for name, s, text, _ in rows if s == "refused"]
        if refused:
            lines += ["| refused | message |", "|---|---|"]
            lines += [f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in refused]
            lines.append("")
        while lines[-1] == "":
            lines.pop()
    return "\n".join(lines) + "\n"


_LETTERS = {"reverse": "R", "forward": "F", "batch": "B", "second": "2"}
_DTYPES = {"float64": "64", "float32": "32", "complex": "C", "complex refused": "C!"}


def _measured_row(name, call):
    found = measure(call, _V, _M)
    modes = "".join(_LETTERS[mode] if mode in found.modes else "·" for mode in MODES)
    dtypes = " ".join(_DTYPES.get(d, d) for d in found.dtypes)
    return f"| `{name}` | {found.by} | {modes} | {dtypes} | {found.error:.0e} {'c' if found.step else 'd'} |"


def text():
    """The same for a terminal."""
    groups = table()
    width = max(map(len, groups)) + 2
    out = [" " * width + "  ".join(STATES)]
    for group, row in counts(groups).items():
        out.append(f"{group:<{width}}" + "  ".join(f"{row[s]:>{len(s)}}" for s in STATES))
    for rows in groups.values():
        out.append("")
        for name, state, message in rows:
            out.append(f"{name:<40} {state:<15} {message[:100]}".rstrip())
    return "\n".join(out)
