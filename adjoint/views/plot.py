"""`ad.plot`: a function of one number and its derivatives as curves, without writing the derivatives."""

import sys

import numpy as np

from ..core.errors import AdjointError, ShapeError
from ..core.tensor import is_tensor
from ..transforms.derivatives import jvp


def plot(f, lo, hi, orders=(0, 1), points=201, ax=None, save=None):
    """Draw f and its derivatives over [lo, hi]. Returns matplotlib's Axes.

    f: a function of one real number, ordinary code with its own `if` and `while`; it is called at each point.
    orders: which derivatives, 0 being f itself. ax: Axes to draw into (default: new ones). save: a file to write, .png,
    .svg or .pdf. Needs matplotlib: pip install "adjoint[plot]".

    >>> import numpy as np, adjoint as ad
    >>> ax = ad.plot(np.sin, -np.pi, np.pi, orders=(0, 1, 2))  # doctest: +SKIP
    """
    orders = (orders,) if isinstance(orders, int) else tuple(orders)
    xs = np.linspace(lo, hi, points)
    curves = [(label(f, order), curve(f, xs, order)) for order in orders]  # an error of f comes before a window
    ax = ax if ax is not None else axes(save)
    for name, ys in curves:
        ax.plot(xs, ys, label=name)
    ax.set_xlabel("x")
    ax.grid(True, alpha=0.3)
    ax.legend()
    if save is not None:
        ax.figure.savefig(save, bbox_inches="tight")
    return ax


def curve(f, xs, order):
    """The derivative of this order at each of xs."""
    for _ in range(order):
        f = derivative(f)
    return np.array([_number(f(np.float64(x))) for x in xs])


def derivative(f):
    """df/dx as a function of one number."""
    return lambda x: jvp(f, (x,), (1.0,))[1]


def _number(y):
    if is_tensor(y):
        y = y.numpy()
    if np.ndim(y) != 0:
        raise ShapeError(f"plot draws functions of one number with one result; this one returned shape {np.shape(y)}")
    return y


def label(f, order):
    """f, f', f'', f^(3), with f's own name where it has one."""
    name = getattr(f, "__name__", "f")
    name = name if name.isidentifier() else "f"
    return name + "'" * order if order < 3 else f"{name}^({order})"


def axes(save):
    """New Axes: in a window or notebook; where a file alone is wanted, outside of pyplot, which needs no display."""
    try:
        if save is not None and "matplotlib.pyplot" not in sys.modules:
            from matplotlib.figure import Figure

            return Figure().subplots()
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise PlotError('ad.plot needs matplotlib, which is not here: python -m pip install "adjoint[plot]"') from error
    return plt.subplots()[1]


class PlotError(AdjointError, ImportError):
    """Matplotlib is not there."""
