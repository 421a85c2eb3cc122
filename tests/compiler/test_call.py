"""The builtin in front of a kernel: what it takes, what it hands on, what it makes, `out=`, errors."""

import gc
import sys
import tracemalloc
import types
import weakref

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from adjoint.compiler.native import call, layout
from adjoint.compiler.native.spec import ArrayLeaf, Equal, Same, ScalarLeaf, Spec

from .calling import (
    DTYPES,
    MISS,
    VECTOR,
    Box,
    Dict,
    Float,
    List,
    Quarrelsome,
    Sub,
    Text,
    Tuple,
    X,
    calling_back,
    cell_of,
    copier,
    copy_function,
    failing,
    fallback,
    load,
    unaligned,
)


def test_this_machine_passes_its_self_test():
    assert call.self_test() == ""


def test_builtins_are_available_here():
    expected = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
    assert call.available() == expected, layout.problem()


def test_types_that_are_not_hashable_or_odd_names():
    f = call.make(
        load(copier()),
        Spec(args=(Equal("ü"),), kwargs={"größe": Equal(1)}, outputs=(), fallback=fallback, name="für", doc="Tut es."),
    )
    assert (
        f("ü", größe=1) == ()
        and f.__name__ == "für"
        and f.__doc__ == "Tut es."
        and type(f) is types.BuiltinFunctionType
    )


# --- what it takes ---


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.char)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (2, 1, 3, 2), (0,), (3, 0)], ids=str)
def test_arrays_of_all_dtypes_and_shapes(dtype, shape):
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    f = copy_function([ArrayLeaf(shape, dtype)], ArrayLeaf(shape, dtype))
    y = f(x)
    assert type(y) is np.ndarray and y.dtype is x.dtype and y.shape == shape and y is not x
    assert np.array_equal(x, y) and y.flags.c_contiguous and y.flags.owndata and y.flags.writeable


@pytest.mark.parametrize("value", [1.5, -0.0, 2**62, -(2**63), 2**63 - 1, -1, 0, True, False, 1 - 2j], ids=repr)
def test_python_scalars_stay_what_they_are(value):
    f = copy_function([ScalarLeaf(type(value))], ScalarLeaf(type(value)))
    y = f(value)
    assert type(y) is type(value) and repr(y) == repr(value)
    for other in (1.5, 1, True, 1j):
        assert (f(other) is MISS) == (type(other) is not type(value))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_an_integer_beyond_64_bits_goes_to_the_fallback(number):
    f = copy_function([ScalarLeaf(int)], ScalarLeaf(int))
    assert f(number) is MISS and f(5) == 5


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.char)
def test_numpy_scalars(dtype):
    value = np.arange(2).astype(dtype)[1]
    f = copy_function([ScalarLeaf(dtype.type)], ScalarLeaf(dtype.type))
    y = f(value)
    assert type(y) is type(value) and y == value
    assert f(1) is MISS and f(np.array(value)) is MISS
    if dtype.char == "?":
        assert y is np.True_ and f(np.False_) is np.False_


def test_a_numpy_float_is_no_python_float():
    assert copy_function([ScalarLeaf(float)], ScalarLeaf(float))(np.float64(1.5)) is MISS


@pytest.mark.parametrize(
    "x",
    [
        np.ones(4, np.float32), X.astype(">f8"), X.astype(complex), np.arange(4), X[:3], X.reshape(2, 2), X.reshape(1, 4), np.zeros(8)[::2],
        X[::-1], X.view(Sub), np.ma.array(X), unaligned(), list(X), None, 1.0, "text", np.array(X, dtype=object), np.zeros(()),
        np.broadcast_to(1.0, (4,)), np.dtype([("a", float)]), np.zeros(4, np.dtype(float, metadata={"a": 1})), np.zeros(4, "M8[s]"),
        np.zeros(4, np.longdouble),
    ],
    ids=lambda x: f"{type(x).__name__}{getattr(x, 'dtype', '')}{getattr(x, 'strides', '')}",
)  # fmt: skip
def test_what_is_not_the_expected_array_goes_to_the_fallback(x):
    f = copy_function([VECTOR], VECTOR)
    before = sys.getrefcount(x)
    assert f(x) is MISS
    assert fallback.last[0][0] is x
    fallback.last = None
    assert x is None or sys.getrefcount(x) == before  # None is everybody's
    assert np.array_equal(f(X), X)


@pytest.mark.parametrize(
    "args, kwargs", [((), {}), ((X, X), {}), ((X,), {"y": X}), ((), {"x": X}), ((X,), {"out": X, "y": 1})]
)
def test_other_numbers_of_arguments_go_to_the_fallback(args, kwargs):
    f = copy_function([VECTOR], VECTOR)
    assert f(*args, **kwargs) is MISS
    assert fallback.last[0] == args and fallback.last[1] == kwargs


def test_a_transposed_matrix_goes_to_the_fallback():
    f = copy_function([ArrayLeaf((2, 2), float)], VECTOR)
    m = np.ones((2, 2))
    assert f(m) is not MISS and f(m.T) is MISS


def test_read_only_and_borrowed_inputs_are_fine():
    x = X.copy()
    x.flags.writeable = False
    f = copy_function([VECTOR], VECTOR)
    assert np.array_equal(f(x), X)
    assert np.array_equal(f(np.frombuffer(X.tobytes())), X)
    assert np.array_equal(f(np.arange(9.0)[3:7]), np.arange(3.0, 7.0))


def test_keywords_in_any_order_and_interned_or_not():
    leaf = ScalarLeaf(float)
    loaded = load(copier(8, 8, 8))
    f = call.make(
        loaded, Spec(args=(leaf,), kwargs={"alpha": leaf, "beta": leaf}, outputs=(leaf, leaf, leaf), fallback=fallback)
    )
    assert f(1.0, alpha=2.0, beta=3.0) == (1.0, 2.0, 3.0)
    assert f(1.0, beta=3.0, alpha=2.0) == (1.0, 2.0, 3.0)
    assert f(1.0, **{"".join(["al", "pha"]): 2.0, "".join(["be", "ta"]): 3.0}) == (1.0, 2.0, 3.0)
    assert f(1.0, **{Text("alpha"): 2.0, Text("beta"): 3.0}) == (1.0, 2.0, 3.0)
    assert f(1.0, alpha=2.0) is MISS
    assert f(1.0, alpha=2.0, gamma=3.0) is MISS
    assert f(1.0, 2.0, beta=3.0) is MISS


def test_a_nested_tree():
    node = {"a": VECTOR, "b": [ScalarLeaf(float), (ScalarLeaf(int), VECTOR)], "c": {}, 3: ()}
    f = copy_function([node], node)
    value = {"a": X, "b": [1.5, (7, X + 1)], "c": {}, 3: ()}
    y = f(value)
    assert type(y) is dict and list(y) == ["a", "b", "c", 3]
    assert np.array_equal(y["a"], X) and y["b"][0] == 1.5 and y["b"][1][0] == 7 and np.array_equal(y["b"][1][1], X + 1)
    assert type(y["b"]) is list and type(y["b"][1]) is tuple and y["c"] == {} and y[3] == ()
    assert f(dict(value)) is not MISS
    for other in [
        {"b": value["b"], "a": X, "c": {}, 3: ()},  # another order
        {**value, "d": 1},
        {"a": X, "b": value["b"], "c": {}},
        {**value, "b": (1.5, (7, X))},
        {**value, "b": [1.5, [7, X]]},
        {**value, "b": [1.5, (7, X), 1]},
        {**value, "c": None},
        Dict(value),
        {**value, "b": List(value["b"])},
        {**value, "b": [1.5, Tuple((7, X))]},
        {**value, "b": [Float(1.5), (7, X)]},
        {"a": X, "b": value["b"], "c": {}, 3.0: ()},
        {Text("a"): X, "b": value["b"], "c": {}, 3: ()},
        list(value.items()),
    ]:
        assert f(other) is MISS
    assert f({"".join("a"): X, **{k: v for k, v in value.items() if k != "a"}}) is not MISS


def test_a_dict_whose_keys_were_removed_and_added_again():
    f = copy_function([{"a": ScalarLeaf(float), "b": ScalarLeaf(float)}])
    d = {str(i): i for i in range(20)}
    for i in range(20):
        del d[str(i)]
    d["a"], d["b"] = 1.0, 2.0
    assert f(d) == ({"a": 1.0, "b": 2.0},)


def test_static_arguments():
    marker = object()
    nodes = (Same(marker), Equal("axis"), Equal(3), Equal(None), Equal(True), (Equal(0), Equal(1)))
    f = call.make(load(copier()), Spec(args=nodes, outputs=Same("done"), fallback=fallback))
    good = [marker, "".join(["ax", "is"]), int("3"), None, True, (0, 1)]
    assert f(*good) == "done"
    bad = [object(), "axes", 3.0, False, 1, (1, 0)]
    for i, other in enumerate(bad):
        assert f(*good[:i], other, *good[i + 1 :]) is MISS
    assert f(marker, Text("axis"), *good[2:]) is MISS
    big = 10**30
    g = call.make(load(copier()), Spec(args=(Equal(big),), outputs=(), fallback=fallback))
    assert g(10**30 + int("0")) == () and g(10**30 + 1) is MISS


def test_static_objects_are_never_compared_by_their_own_code():
    q = Quarrelsome()
    f = call.make(load(copier()), Spec(args=(Equal(q), Equal("s")), outputs=(), fallback=fallback))
    assert f(q, "s") == () and f(Quarrelsome(), "s") is MISS and f(q, Quarrelsome()) is MISS


@pytest.mark.parametrize("count", [50, 300])
def test_many_arguments_of_one_call(count):
    """More than the stack's scratch holds: the heap."""
    node = [ScalarLeaf(float)] * count
    f = copy_function([node], node)
    value = [float(i) for i in range(count)]
    assert f(value) == value
    assert f([*value[:-1], "x"]) is MISS
    with pytest.raises(TypeError):
        f.__self__[0] = 1


# --- hidden inputs and guards ---


def test_hidden_inputs_are_read_at_each_call():
    namespace, box, items, cell, array = {"w": X}, Box(2.0), [0, 3], cell_of(1.0), X.copy()
    sources = [
        (("global", namespace, "w"), VECTOR),
        (("attr", box, "value"), ScalarLeaf(float)),
        (("item", items, 1), ScalarLeaf(int)),
        (("cell", cell), ScalarLeaf(float)),
        (("ref", array), VECTOR),
    ]
    leaves = (VECTOR, ScalarLeaf(float), ScalarLeaf(int), ScalarLeaf(float), VECTOR)
    loaded = load(copier(8, 32, 8, 8, 8, 32))
    f = call.make(
        loaded, Spec(args=(ScalarLeaf(float),), hidden=sources, outputs=(ScalarLeaf(float), *leaves), fallback=fallback)
    )

    def check(*expected):
        got = f(9.0)
        assert got[0] == 9.0 and all(np.array_equal(g, e) for g, e in zip(got[1:], expected))

    check(X, 2.0, 3, 1.0, X)
    namespace["w"] = X + 1
    box.value, items[1], cell.cell_contents = 5.0, 6, 7.0
    array[:] = 4.0
    check(X + 1, 5.0, 6, 7.0, [4.0] * 4)
    for change, undo in [
        (lambda: namespace.pop("w"), lambda: namespace.update(w=X + 1)),
        (lambda: namespace.update(w=1), lambda: namespace.update(w=X + 1)),
        (lambda: delattr(box, "value"), lambda: setattr(box, "value", 5.0)),
        (lambda: setattr(box, "value", 1), lambda: setattr(box, "value", 5.0)),
        (items.pop, lambda: items.append(6)),
        (lambda: delattr(cell, "cell_contents"), lambda: setattr(cell, "cell_contents", 7.0)),
        (lambda: setattr(array, "shape", (2, 2)), lambda: setattr(array, "shape", (4,))),
    ]:
        change()
        assert f(9.0) is MISS
        undo()
        check(X + 1, 5.0, 6, 7.0, [4.0] * 4)


def test_a_container_as_hidden_input():
    params = {"w": X.copy(), "b": [1.0]}
    node = {"w": VECTOR, "b": [ScalarLeaf(float)]}
    loaded = load(copier(32, 8))
    f = call.make(loaded, Spec(hidden=[(("cell", cell_of(params)), node)], outputs=node, fallback=fallback))
    assert np.array_equal(f()["w"], X) and f()["b"] == [1.0]
    params["w"] = X * 2
    assert np.array_equal(f()["w"], X * 2)


def test_guards():
    def helper():
        pass

    namespace = {"helper": helper, "mode": "fast"}
    guards = [
        (("global", namespace, "helper"), Same(helper)),
        (("global", namespace, "mode"), Equal("fast")),
        (("absent", namespace, "abs"), None),
    ]
    f = call.make(
        load(copier(8)), Spec(args=(ScalarLeaf(float),), guards=guards, outputs=ScalarLeaf(float), fallback=fallback)
    )
    assert f(1.0) == 1.0
    for name, other, value in [("helper", len, helper), ("mode", "slow", "fast")]:
        namespace[name] = other
        assert f(1.0) is MISS
        namespace[name] = value
        assert f(1.0) == 1.0
    namespace["abs"] = abs
    assert f(1.0) is MISS
    del namespace["abs"], namespace["mode"]
    assert f(1.0) is MISS


class Property:
    def __init__(self, error):
        self.error = error

    @property
    def value(self):
        raise self.error


def test_an_error_in_a_look_up_is_cleared_but_ctrl_c_is_not():
    for error in (ValueError("no"), AttributeError("no")):
        f = call.make(
            load(copier(8)),
            Spec(
                hidden=[(("attr", Property(error), "value"), ScalarLeaf(float))],
                outputs=ScalarLeaf(float),
                fallback=fallback,
            ),
        )
        assert f() is MISS
    stop = Property(KeyboardInterrupt())
    f = call.make(
        load(copier(8)),
        Spec(hidden=[(("attr", stop, "value"), ScalarLeaf(float))], outputs=ScalarLeaf(float), fallback=fallback),
    )
    with pytest.raises(KeyboardInterrupt):
        f()


def test_inputs_in_containers_survive_their_removal_during_the_call():
    params = [X.copy()]
    ref = weakref.ref(params[0])

    def remove(ins):
        params.clear()
        gc.collect()
        assert ref() is not None
        return []

    f = calling_back(remove, [], [], [VECTOR], hidden=[(("cell", cell_of(params)), [VECTOR])], outputs=VECTOR)
    assert np.array_equal(f(), X)
    assert ref() is None


# --- results ---


def test_constants_in_results():
    marker = object()
    f = copy_function([VECTOR], (VECTOR, Same(None), [Same(marker)]))
    before = sys.getrefcount(marker)
    for _ in range(10):
        y, none, (m,) = f(X)
        assert none is None and m is marker
    del m
    assert sys.getrefcount(marker) == before


@pytest.mark.parametrize("outputs", [(), [], {}, Same(5)])
def test_results_without_leaves(outputs):
    expected = 5 if isinstance(outputs, Same) else outputs
    assert call.make(load(copier()), Spec(outputs=outputs, fallback=fallback))() == expected


@pytest.mark.parametrize(
    "spec",
    [
        Spec(args=(ArrayLeaf((2,), object),)), Spec(args=(ArrayLeaf((2,), ">f8"),)), Spec(args=("x",)), Spec(outputs="x"),
        Spec(outputs=ArrayLeaf((2,), "U3")), Spec(hidden=[(("nowhere", 1), VECTOR)]), Spec(hidden=[(("global", [], "x"), VECTOR)]),
        Spec(hidden=[(("cell", 1), VECTOR)]), Spec(outputs=ScalarLeaf(np.longdouble)), Spec(args=(Tuple((VECTOR,)),)),
    ],
)  # fmt: skip
def test_a_spec_that_makes_no_sense_is_refused(spec):
    with pytest.raises(TypeError):
        call.make(load(copier()), spec)


# --- out= ---


def test_out_is_written_and_returned():
    node = {"a": VECTOR, "b": [ArrayLeaf((), float), (ArrayLeaf((2,), np.int32),)]}
    f = copy_function([node], node)
    value = {"a": X, "b": [np.array(3.0), (np.array([1, 2], np.int32),)]}
    out = {"a": np.zeros(4), "b": [np.zeros(()), (np.zeros(2, np.int32),)]}
    arrays = [out["a"], out["b"][0], out["b"][1][0]]
    counts = [sys.getrefcount(a) for a in arrays]
    assert f(value, out=out) is out
    assert np.array_equal(out["a"], X) and out["b"][0] == 3.0 and np.array_equal(out["b"][1][0], [1, 2])
    assert [sys.getrefcount(a) for a in arrays] == counts


def test_out_of_a_scalar_result_is_an_array_without_axes():
    f = copy_function([ScalarLeaf(float)], ScalarLeaf(float))
    out = np.zeros(())
    assert f(2.5, out=out) is out and out == 2.5


def test_out_none_is_no_out_and_a_none_inside_is_made():
    f = copy_function([VECTOR, VECTOR], (VECTOR, VECTOR))
    given = np.zeros(4)
    y, z = f(X, X + 1, out=(given, None))
    assert y is given and np.array_equal(y, X) and np.array_equal(z, X + 1)
    w = f(X + 2, X + 3, out=None)
    assert np.array_equal(w[0], X + 2) and np.array_equal(w[1], X + 3) and w[0] is not given
    f(X + 4, X + 5)
    assert np.array_equal(y, X) and np.array_equal(z, X + 1)  # neither came back from a pool


def test_out_allocates_nothing():
    n = 1000
    f = copy_function([ArrayLeaf((n,), float)], ArrayLeaf((n,), float))
    x, out = np.ones(n), np.zeros(n)
    f(x, out=out)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(100):
            f(x, out=out)
        assert tracemalloc.get_traced_memory()[1] - before < 1000
    finally:
        tracemalloc.stop()


def read_only():
    x = np.zeros(4)
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    "out",
    [
        np.zeros(4, np.float32), np.zeros(3), np.zeros((2, 2)), np.zeros(8)[::2], read_only(), unaligned(),
        np.zeros(4).view(Sub), np.zeros(4, ">f8"), 1.0, (np.zeros(4),),
    ],
    ids=range(10),
)  # fmt: skip
def test_an_out_that_does_not_fit_goes_to_the_fallback(out):
    f = copy_function([VECTOR], VECTOR)
    before = sys.getrefcount(out)
    assert f(X, out=out) is MISS
    assert fallback.last[1]["out"] is out
    fallback.last = None
    assert sys.getrefcount(out) == before


def test_an_out_that_shares_memory_goes_to_the_fallback():
    f = copy_function([VECTOR, VECTOR], (VECTOR, VECTOR))
    long = np.arange(10.0)
    x, y = long[:4], long[4:8]
    assert f(x, y, out=(np.zeros(4), np.zeros(4))) is not MISS
    assert f(x, X, out=(long[6:], y)) is MISS  # among themselves
    assert f(x, X, out=(long[3:7], np.zeros(4))) is MISS
    assert f(x, X, out=(x, np.zeros(4))) is MISS
    assert f(X, x, out=(np.zeros(4), x)) is MISS
    assert f(x, X, out=(long[4:8], np.zeros(4))) is not MISS  # side by side
    empty = ArrayLeaf((0,), float)
    g = copy_function([empty, VECTOR], (empty, VECTOR))
    assert g(long[2:2], X, out=(long[2:2], long[:4])) is not MISS


def test_out_can_be_an_ordinary_keyword():
    f = call.make(
        load(copier(8)), Spec(kwargs={"out": ScalarLeaf(float)}, outputs=ScalarLeaf(float), fallback=fallback)
    )
    assert f(out=2.0) == 2.0
    g = copy_function([VECTOR], VECTOR, out=False)
    assert g(X, out=np.zeros(4)) is MISS


# --- errors ---


def test_a_kernels_error_is_raised_by_the_handler():
    def on_error(code):
        raise ZeroDivisionError(code)

    f = failing(-7, on_error, workspace=64)
    x = X.copy()
    before = sys.getrefcount(x)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError, match="-7"):
            f(x)
    assert sys.getrefcount(x) == before


@pytest.mark.parametrize("on_error", [None, lambda code: None])
def test_an_error_that_nobody_raises_is_a_runtime_error(on_error):
    with pytest.raises(RuntimeError, match="kernel failed"):
        failing(3, on_error)(X)


def test_an_error_of_the_fallback_comes_through():
    def refuse(*args):
        raise LookupError("refused")

    f = call.make(load(copier(32)), Spec(args=(VECTOR,), outputs=VECTOR, fallback=refuse))
    with pytest.raises(LookupError, match="refused"):
        f(1)


def test_an_allocation_that_fails_is_a_memory_error():
    huge = ArrayLeaf((2**44,), float)
    f = call.make(load(copier()), Spec(args=(ScalarLeaf(float), [VECTOR]), outputs=(VECTOR, huge), fallback=fallback))
    x = X.copy()
    before = sys.getrefcount(x)
    for _ in range(3):
        with pytest.raises(MemoryError):
            f(1.0, [x])
    assert sys.getrefcount(x) == before
    g = call.make(load(copier()), Spec(outputs=(VECTOR,), fallback=fallback, workspace=2**60))
    with pytest.raises(MemoryError):
        g()
