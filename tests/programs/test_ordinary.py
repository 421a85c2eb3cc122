"""Ordinary functions in each mode: the gradient is that of differences, or the function is refused; never another one.

`python -m tests.programs.test_ordinary` counts right, refused and wrong, and says why what is refused is.
"""

import collections
import warnings

import numpy as np
import pytest

import adjoint as ad
from tests.programs.ordinary import ORDINARY

MODES = {
    "grad": ad.grad,
    "marked": lambda f: ad.grad(ad.differentiable(f)),
    "jit(grad)": lambda f: ad.jit(ad.grad(f)),
    "grad(jit)": lambda f: ad.grad(ad.jit(f)),
}
COMPILED = ("jit(grad)", "grad(jit)")
# what is refused so far, and in which modes; the rest must be right
REFUSED = {
    "flat_written": MODES,
    "buffer_of_outside": ("grad",),  # written twice, if it were called again as a copy
    "filtered_list": COMPILED,
    # SciPy: no rule, or an iteration of its own that needs values
    **dict.fromkeys(
        ("moments", "lu_by_scipy", "minimised_scalar", "smoothed", "uniform_filtered", "transformed", "rosenbrock",
         "sparse_product", "distances"),
        MODES,
    ),
    **dict.fromkeys(("initial_value", "ode_integrated"), COMPILED),
}  # fmt: skip


def slope(f, x, h=1e-5):
    """The gradient by central differences of the fourth order."""
    g = np.zeros(x.size)
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = h
        g[i] = (8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * h)
    return g


_slopes: dict = {}


def outcome(p, mode):
    """("right" or "wrong", what came out and should have), or ("refused", the error)."""
    if p.name not in _slopes:
        _slopes[p.name] = slope(p.f, p.x)
    want = _slopes[p.name]
    try:
        got = MODES[mode](p.f)(p.x.copy())
    except Exception as error:  # SciPy raises errors of its own where it is given a tensor
        return "refused", error
    near = np.shape(got) == want.shape and np.max(np.abs(got - want)) <= 1e-5 * max(1.0, np.max(np.abs(want)))
    return ("right" if near else "wrong"), (got, want)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("p", ORDINARY, ids=lambda p: p.name)
def test_right_or_refused(p, mode):
    kind, what = outcome(p, mode)
    if kind == "refused":
        if mode not in REFUSED.get(p.name, ()):
            raise what
        pytest.skip(f"refused: {type(what).__name__}: {str(what)[:120]}")
    assert kind == "right", f"{what[0]} should be {what[1]}"


def test_the_corpus_is_large():
    groups = collections.Counter(p.group for p in ORDINARY)
    assert len(ORDINARY) >= 115 and len({p.name for p in ORDINARY}) == len(ORDINARY)
    assert groups["numpy"] >= 33 and groups["made and filled"] >= 26 and groups["Python's scalars"] >= 16
    assert groups["scipy"] >= 40
    assert len(set(REFUSED) - {p.name for p in ORDINARY if p.group == "scipy"}) <= 3


def main():
    table: dict = collections.defaultdict(collections.Counter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for p in ORDINARY:
            for mode in MODES:
                kind, what = outcome(p, mode)
                table[p.group][mode, kind] += 1
                table["all"][mode, kind] += 1
                if kind != "right":
                    print(f"{kind:8} {mode:10} {p.name}: {str(what)[:140]}")
    for group, row in table.items():
        total = sum(n for (mode, _), n in row.items() if mode == "grad")
        print(f"{group} ({total})")
        for mode in MODES:
            print(f"    {mode:10}", ", ".join(f"{row[mode, kind]} {kind}" for kind in ("right", "refused", "wrong")))


if __name__ == "__main__":
    main()
