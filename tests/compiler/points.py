"""Programs of one number against what they give as they stand, point by point: a value, None or what they raise."""

import numpy as np

import adjoint as ad


def said(f, x):
    """What f gives: a value, or the class of what it raises."""
    try:
        return f(x)
    except Exception as error:
        return "raises", "ad" if isinstance(error, ad.errors.AdjointError) else type(error).__name__


def alike(a, b):
    if type(a) is tuple and type(b) is tuple and len(a) == len(b):
        return all(map(alike, a, b))
    if a is None or b is None or isinstance(a, str) or isinstance(b, str):
        return a is b or a == b
    return bool(np.isclose(a, b, rtol=1e-9, atol=1e-12))


def slope(f, x, h=1e-6):
    values = [said(f, x + d) for d in (-h, h)]
    if all(type(v) is tuple and v[0] == "raises" for v in values):
        return values[0]
    if any(v is None or type(v) is tuple for v in values):
        return "raises", "ad"
    return (values[1] - values[0]) / (2 * h)


def gradients_agree(f, points):
    """Eager, and compiled either way, the gradient is that of differences, and where f gives no number there is an error."""
    for make in (lambda f: ad.grad(ad.differentiable(f)), lambda f: ad.jit(ad.grad(f)), lambda f: ad.grad(ad.jit(f))):
        g = make(f)
        for x in points:
            want, got = slope(f, x), said(g, x)
            if type(want) is tuple:
                assert type(got) is tuple and got[0] == "raises", (x, got, want)
            else:
                assert np.isclose(got, want, rtol=2e-5, atol=1e-7), (x, got, want)


BATCHED = (lambda f: ad.vmap(ad.grad(ad.differentiable(f))), lambda f: ad.jit(ad.vmap(ad.grad(f))))


def batches_agree(f, points):
    """Lanes that all give a number are mapped; which points do."""
    good = [x for x in points if not isinstance(slope(f, x), tuple)]
    want = [slope(f, x) for x in good]
    for make in BATCHED:
        assert np.allclose(make(f)(np.array(good)), want, rtol=2e-5, atol=1e-7)
    return good
