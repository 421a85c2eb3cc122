"""The command line: `adjoint book`, `ops`, `coverage`, `show`, `debug`, `doctor`."""

import argparse
import ast
import os
import platform
import sys
import warnings

from . import __version__


def main(argv=None):
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(prog="adjoint", description="Derivatives of ordinary Python and NumPy code.")
    parser.add_argument("--version", action="version", version=f"adjoint {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    book = commands.add_parser("book", help="run the book, cell by cell, and check each value")
    book.add_argument("--lang", default="all", metavar="LANG", help="en, zh or all (the default)")
    book.add_argument("--out", metavar="DIR", help="where the pictures go (default: _out in the book)")
    book.add_argument("--book", metavar="DIR", help="the folder with the pages (default: that of the clone)")
    book.set_defaults(run=_book)

    ops = commands.add_parser("ops", help="the table of all operations and their rules")
    ops.add_argument("--markdown", action="store_true", help="as a Markdown table")
    ops.add_argument("--native", action="store_true", help="which of them compiled code does itself")
    ops.set_defaults(run=_ops)

    coverage = commands.add_parser("coverage", help="what a tensor meets in each function of NumPy and scipy.special")
    coverage.add_argument("--markdown", action="store_true", help="as the page docs/coverage.md")
    coverage.set_defaults(run=_coverage)

    show = commands.add_parser("show", help="the graph of a function in a file: adjoint show model.py:f 2.0 '[1, 2]'")
    show.add_argument("function", metavar="FILE:FUNCTION")
    show.add_argument("args", nargs="*", metavar="ARG", help="Python literals; lists become arrays")
    show.add_argument("--save", metavar="FILE", help="write it to a file: .svg, .html, .txt, .dot, .mmd")
    show.set_defaults(run=_show)

    debug = commands.add_parser("debug", help="the settings in force, and the levels of ADJOINT_DEBUG")
    debug.set_defaults(run=_debug)

    doctor = commands.add_parser("doctor", help="versions of what is installed, and a check of some gradients")
    doctor.set_defaults(run=_doctor)

    options = parser.parse_args(argv)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    try:
        return options.run(options)
    except BrokenPipeError:  # adjoint ops | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _book(options):
    from .views.book import run

    return run(lang=options.lang, out=options.out, book=options.book)


# The table of operations


def _ops(options):
    if options.native:
        from .views import native

        _all_ops()
        print(native.markdown() if options.markdown else native.text(), end="" if options.markdown else "\n")
        return 0
    rows = [_op_row(op) for _, op in sorted(_all_ops().items())]
    head = ("op", "kind", "jvp", "vjp", "batch", "complex", "sample")
    if options.markdown:
        print("| " + " | ".join(head) + " |")
        print("|" + "---|" * len(head))
        for row in rows:
            print("| " + " | ".join((f"`{row[0]}`", *row[1:])) + " |")
        return 0
    _columns([head, *rows])
    print(f"{len(rows)} operations; -: none; lanes: batched lane by lane; zero: the derivative is zero; "
          "?: not tried, for it has no sample")  # fmt: skip
    return 0


def _coverage(options):
    from .views import coverage

    print(coverage.markdown() if options.markdown else coverage.text(), end="" if options.markdown else "\n")
    return 0


def _all_ops():
    import importlib

    from .core.op import OPS
    from .core.tensor import complete

    complete()
    from .scipy import MODULES

    for name in ("ops", *(f"scipy.{module}" for module in MODULES)):
        try:
            importlib.import_module(f"{__package__}.{name}")
        except ImportError:  # SciPy is not installed, or there is no such namespace yet
            pass
    return OPS


def _op_row(op):
    flat = op.kind == "nondiff"
    return (
        op.name,
        op.kind,
        "zero" if flat else "yes" if op.jvp or op.dual else "-",
        "zero" if flat else "yes" if op.vjp else "-",
        "yes" if op.batch else "lanes",
        _complex(op),
        "yes" if op.sample else "-",
    )


def _complex(op):
    """Whether the op differentiates complex numbers, tried on its first sample."""
    if op.sample is None or op.kind == "nondiff":
        return "-" if op.kind == "nondiff" else "?"
    import numpy as np

    import adjoint as ad

    args, params = op.sample(np.random.default_rng(0))[0]

    def turn(x):
        return x + 0.5j if isinstance(x, float) or getattr(x, "dtype", np.dtype(int)).kind in "fc" else x

    args = ad.tree.map(turn, tuple(args))
    picked = [i for i, x in enumerate(args) if ad.tree.flatten(x)[0] and getattr(x, "dtype", np.dtype(int)).kind == "c"]
    if not picked:
        return "?"

    def f(*xs):
        row = list(args)
        for i, x in zip(picked, xs, strict=True):
            row[i] = x
        return op(*row, **params)

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y, pull = ad.vjp(f, *[args[i] for i in picked])
            pull(y)
        return "yes"
    except Exception:
        return "-"


def _columns(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)).rstrip())


# Looking at a function


def _show(options):
    import runpy

    import numpy as np

    import adjoint as ad

    path, _, name = options.function.rpartition(":")
    if not path:
        print(f"adjoint show: write FILE:FUNCTION, as in model.py:loss, not {options.function}", file=sys.stderr)
        return 2
    if not os.path.isfile(path):
        print(f"adjoint show: there is no file {path}", file=sys.stderr)
        return 2
    try:
        args = [ast.literal_eval(text) for text in options.args]
    except (ValueError, SyntaxError) as error:
        print(f"adjoint show: the arguments must be Python literals: {error}", file=sys.stderr)
        return 2
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    f = runpy.run_path(path).get(name)
    if not callable(f):
        print(f"adjoint show: {path} has no function {name}", file=sys.stderr)
        return 2
    shown = ad.show(f)(*[np.array(x, float) if isinstance(x, list) else x for x in args])
    if options.save:
        print(shown.save(options.save))
    else:
        print(shown)
    return 0


# Settings and health


def _debug(options):
    from .core.config import config
    from .views.trace import LADDER

    print("Settings: ad.config.set(name=value), with ad.config(name=value): ..., or the environment")
    print(config)
    print("\nThe ladder: ADJOINT_DEBUG=n python model.py, or with ad.config(debug=n): ... (to stderr)")
    for level, meaning in LADDER.items():
        print(f"  {level}  {meaning}")
    return 0


def _doctor(options):
    import importlib.metadata
    import importlib.util

    rows = [("adjoint", __version__), ("Python", f"{platform.python_version()} ({platform.platform(terse=True)})")]
    for name, use in {
        "numpy": "needed",
        "scipy": "special functions",
        "llvmlite": "compiled code",
        "matplotlib": "ad.plot",
        "dask": "arrays in pieces",
    }.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "there, version unknown" if importlib.util.find_spec(name) else f"not installed (for: {use})"
        rows.append((name, version))
    _columns(rows)
    print()
    wrong = 0
    for what, check in _checks().items():
        try:
            problem = check()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        wrong += bool(problem)
        print(f"{'ok   ' if not problem else 'WRONG'}  {what}{': ' + problem if problem else ''}")
    return 1 if wrong else 0


def _checks():
    """Some derivatives whose values are known: {what: a function that returns '' or what is wrong}."""
    import numpy as np

    import adjoint as ad

    x = np.array([0.5, -1.0, 2.0])

    def compare(got, want):
        return lambda: "" if np.allclose(got(), want(), rtol=1e-12, atol=0) else f"{got()} instead of {want()}"

    def imperative():
        t = ad.tensor(x)
        t.attach_grad()
        (t * t * t).sum().backward()
        return np.asarray(t.grad)

    def loop(a):
        b = a * 2
        while np.linalg.norm(b) < 1000:
            b = b * 2
        return b.sum()

    return {
        "gradient of sum(sin(x) x)": compare(
            lambda: ad.grad(lambda v: np.sum(np.sin(v) * v))(x), lambda: np.cos(x) * x + np.sin(x)
        ),
        "Hessian of sum(x^3)": compare(lambda: ad.hessian(lambda v: np.sum(v**3))(x), lambda: np.diag(6 * x)),
        "forward mode": compare(lambda: ad.jvp(np.exp, (x,), (np.ones(3),))[1], lambda: np.exp(x)),
        "gradients of a batch": compare(lambda: ad.vmap(ad.grad(lambda v: v**2))(x), lambda: 2 * x),
        "backward()": compare(imperative, lambda: 3 * x * x),
        "a while loop": compare(lambda: ad.grad(loop)(x), lambda: np.full(3, 512.0)),
    }
