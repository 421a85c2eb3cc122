"""The chapter's code as it stands, `mindspore` replaced by `adjoint`: it runs, and prints what it printed; and the
gradients that it writes by hand are those that are computed.
"""

import ast

import numpy as np
import pytest

import adjoint as ad

# The chapter's cells, and what each shows. Its listing folds the two blanks between numbers into one.
CELLS = [
    (
        """
import mindspore as ms
import mindspore.ops as ops
x = ops.arange(4.0)
x
""",
        "Tensor(shape=[4], dtype=Float32, value= [ 0.00000000e+00,  1.00000000e+00,  2.00000000e+00,  3.00000000e+00])",
    ),
    (
        """
import mindspore
import mindspore.numpy as mnp
import mindspore.ops as ops
from mindspore import grad
x = ops.arange(4, dtype=mindspore.float32)
def forward(x):
    return 2 * mnp.dot(x, x)
y = forward(x)
y
""",
        "Tensor(shape=[], dtype=Float32, value= 28)",
    ),
    (
        """
x = ops.arange(4, dtype=mindspore.float32)
x_grad = 4 * x
x_grad
""",
        "Tensor(shape=[4], dtype=Float32, value= [ 0.00000000e+00,  4.00000000e+00,  8.00000000e+00,  1.20000000e+01])",
    ),
    (
        """
x = ops.arange(4, dtype=mindspore.float32)
x_grad = 4 * x
x_grad == 4 * x
""",
        "Tensor(shape=[4], dtype=Bool, value= [ True,  True,  True,  True])",
    ),
    (
        """
def forward(x):
    return x.sum()
x_grad = mindspore.Tensor([1.0, 1.0, 1.0, 1.0], dtype=mindspore.float32)
x_grad
""",
        "Tensor(shape=[4], dtype=Float32, value= [ 1.00000000e+00,  1.00000000e+00,  1.00000000e+00,  1.00000000e+00])",
    ),
    (
        """
def forward(x):
    y = x * x
    return y.sum()
x_grad = 2 * x
x_grad
""",
        "Tensor(shape=[4], dtype=Float32, value= [ 0.00000000e+00,  2.00000000e+00,  4.00000000e+00,  6.00000000e+00])",
    ),
    (
        """
def forward(x):
    y = x * x
    u = ops.stop_gradient(y)
    z = u * x
    return z, u
z, u = forward(x)
x_grad = u
x_grad == u
""",
        "Tensor(shape=[4], dtype=Bool, value= [ True,  True,  True,  True])",
    ),
    (
        """
def forward(x):
    y = x * x
    return y.sum()
x_grad = 2 * x
x_grad == 2 * x
""",
        "Tensor(shape=[4], dtype=Bool, value= [ True,  True,  True,  True])",
    ),
    (
        """
def f(a):
    b = a * 2
    while ops.norm(b, dim=0) < 1000:
        b = b * 2
    if b.sum() > 0:
        c = b
    else:
        c = 100 * b
    return c
""",
        None,
    ),
    (
        """
a = ops.randn(())
d = f(a)
a_grad = d / a
""",
        None,
    ),
    (
        """
a_grad == d / a
""",
        "Tensor(shape=[], dtype=Bool, value= True)",
    ),
]


def run_to(last):
    """The namespace after the first `last` cells, and what each of them showed."""
    namespace: dict = {}
    shown = []
    for source, _ in CELLS[:last]:
        tree = ast.parse(source.replace("mindspore", "adjoint"))
        value = None
        if isinstance(tree.body[-1], ast.Expr):
            expression = ast.Expression(tree.body.pop().value)
            exec(compile(tree, "chapter", "exec"), namespace)
            value = eval(compile(expression, "chapter", "eval"), namespace)
        else:
            exec(compile(tree, "chapter", "exec"), namespace)
        shown.append(None if value is None else repr(value))
    return namespace, shown


def test_the_chapter_shows_what_it_showed():
    _, shown = run_to(len(CELLS))
    assert shown == [expected for _, expected in CELLS]


@pytest.mark.parametrize("cell", [3, 4, 5, 6, 8])
def test_hand_written_gradients(cell):
    """Cells 3 and 4 write the gradient of cell 2's function, the others that of their own."""
    names, _ = run_to(cell)
    g = names["grad"](names["forward"])(names["x"])
    assert repr(g) == repr(names["x_grad"])
    names["x"].attach_grad()
    names["forward"](names["x"]).backward()
    assert repr(names["x"].grad) == repr(names["x_grad"])


def test_hand_written_gradient_of_the_detached_function():
    names, _ = run_to(7)
    x, forward = names["x"], names["forward"]
    g, u = names["grad"](lambda x: (forward(x)[0].sum(), forward(x)[1]), has_aux=True)(x)
    assert repr(g) == repr(names["x_grad"]) == repr(u)
    x.attach_grad()
    z, u = forward(x)
    z.sum().backward()
    assert repr(x.grad) == repr(names["x_grad"])


def test_hand_written_gradient_of_control_flow():
    """Many draws: d / a within rounding, since 100 * b is rounded; the computed slope itself is exact."""
    names, _ = run_to(10)
    f, ops = names["f"], ad.ops
    ops.manual_seed(0)
    signs = set()
    for _ in range(50):
        a = ops.randn(()).attach_grad()
        d = f(a)
        d.backward()
        slope = float(names["grad"](f)(a))
        assert slope == float(a.grad)
        assert np.isclose(slope, float(d.detach()) / float(a.detach()), rtol=1e-6)
        k = slope if a > 0 else slope / 100
        assert np.log2(k) == round(np.log2(k))
        signs.add(bool(a > 0))
    assert signs == {True, False}


def test_dtypes_and_names_that_the_chapter_uses():
    assert ad.float32 == np.float32 and ad.int32 == np.int32
    assert ad.ops.arange(4).dtype == np.int64
    assert ad.ops.arange(4, dtype=ad.float32).dtype == np.float32
    assert ad.Tensor([1.0], dtype=ad.float32).dtype == np.float32
