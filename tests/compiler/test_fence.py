"""What source capture refuses: each entry of the fence, by the program that meets it; and what it does not refuse."""

import contextlib
import linecache
import re

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler import fence
from adjoint.compiler.syntax import Recorder, recording, rewrite
from adjoint.traces.capture import capture

COUNT = 0


def nothing_bound(x):
    if x > 0:
        y = x
    return y


def other_shape(x):
    y = np.array([x, x]) if x > 0 else x
    return y * 2


def other_shape_in_a_loop(x):
    s = 0.0
    while x < 10:
        s = s + np.array([x, 1.0])
        x = x * 2
    return s


def bound_in_the_loop_alone(x):
    while x < 10:
        y = x
        x = x * 2
    return y


def none_in_a_text(x):
    best = None
    if x > 0:
        best = x
    return float(f"{best}")


def none_or_number_by_isinstance(x):
    best = "nothing"
    if x > 0:
        best = x
    return 0.0 if isinstance(best, str) else best


def match_on_a_value(x):
    match x:
        case 1.0:
            return x
        case _:
            return x * 2


def global_bound(x):
    global COUNT
    if x > 0:
        COUNT = x
    return x


def nonlocal_bound():
    count = 0.0

    def f(x):
        nonlocal count
        if x > 0:
            count = x
        return x

    return f


def random_draw(x):
    rng = np.random.default_rng(0)
    while x < 10:
        x = x + abs(rng.normal())
    return x


def recursion(x):
    if np.sum(x) < 1:
        return x
    return recursion(np.append(x, x) / 4)


def list_of_unknown_length(x):
    out = []
    while x < 10:
        out.append(x)
        x = x * 2
    return sum(out)


def list_on_one_path(x):
    out = [x]
    if x > 0:
        out.append(x)
    return sum(out)


def dict_key_on_one_path(x):
    d = {"a": x}
    if x > 0:
        d["b"] = x
    return d["a"]


def dict_key_in_a_loop(x):
    d = {}
    while x < 10:
        d["a"] = x
        x = x * 2
    return x


def unknown_key(x):
    return {1.0: 2.0}.get(x, 3.0)


def unknown_key_by_index(x):
    return {1.0: 2.0, 2.0: 3.0}[x]


def text_of_a_value(x):
    return 1.0 if f"{x:.2f}" == "1.00" else 2.0


def text_by_str(x):
    return 1.0 if str(x) == "1.0" else 2.0


def text_by_percent(x):
    return 1.0 if "%.1f" % x == "1.0" else 2.0  # noqa: UP031


def range_of_a_value_as_a_list(x):
    return sum([i * x for i in range(int(x))])


def plain_array_written(x):
    a = np.frombuffer(bytes(24)).reshape(3).T
    b = memoryview(bytearray(24))
    c = np.asarray(b).view(float) if a is None else np.ndarray((3,))
    holder = {"c": c}
    while x < 10:
        np.copyto(holder["c"], 1.0)
        x = x * 2
    return x


def iterator_advanced(x):
    it = iter([1.0, 2.0, 3.0, 4.0, 5.0])
    while x < 10:
        x = x + next(it)
    return x


def unrolled_too_far(x):
    d = {i: 1.0 for i in range(20_000)}
    for i in range(20_000):
        x = x * d[i] + 1
    return x


def alias_written(x):
    a, c = np.array([x, 1.0]), np.array([2 * x, 5.0])
    b = a if x > 0 else c
    b[0] = 7.0
    return a[0] + c[0]


def raised_and_suppressed(x):
    y = 1.0 * x
    with contextlib.suppress(ValueError):
        y = x * 2
        if x > 1:
            raise ValueError
        y = x * 5
    return y


def refused_and_suppressed(x):
    y = 1.0 * x
    with contextlib.suppress(TypeError):
        y = {1.0: 2.0}.get(x, 3.0)
    return y


def raised_and_caught(x):
    try:
        if x > 5:
            raise ValueError("big")
        y = x * 2
    except (KeyError, ValueError):
        y = 0.0
    return y


def asserted_and_caught(x):
    def checked(y):
        assert y < 5, y
        return y

    try:
        return checked(x)
    except:  # noqa: E722 - as users write it
        return 0.0


def generator_that_decides(x):
    def g():
        if x > 1:
            yield x

    return sum(g())


def guard_of_a_case(x):
    match "a":
        case "a" if x > 1:
            return x
        case _:
            return 2 * x


def filter_of_unknown(x):
    return sum(filter(lambda v: v > 1, [x, 2 * x]))


CASES = [
    (generator_that_decides, "a generator decides .* collect the values in a list"),
    (guard_of_a_case, "the guard of a case .* write it with if, elif and else"),
    (filter_of_unknown, "filter leaves out .* its length would depend"),
    (nothing_bound, "y has no value where the test fails"),
    (other_shape, r"float64\[2\].*weak float64\[\]"),
    (other_shape_in_a_loop, "s is .* before a step of the loop and .* behind it"),
    (bound_in_the_loop_alone, "bound in the loop alone"),
    (none_in_a_text, "a text is made of a value that may be None"),
    (none_or_number_by_isinstance, "best is .* and 'nothing'"),
    (match_on_a_value, "if, elif and else"),
    (global_bound, "global COUNT"),
    (nonlocal_bound(), "count is bound through nonlocal"),
    (random_draw, "as an argument"),
    (recursion, "recursion calls itself .*while loop"),
    (list_of_unknown_length, "ad.scan"),
    (list_on_one_path, "2 items .* 1"),
    (dict_key_on_one_path, "keys before"),
    (dict_key_in_a_loop, "keys before"),
    (unknown_key, "np.where"),
    (unknown_key_by_index, "np.where"),
    (text_of_a_value, "print it"),
    (text_by_str, "print it"),
    (text_by_percent, "print it"),
    (range_of_a_value_as_a_list, "for statement over range"),
    (iterator_advanced, r"list\(it\)"),
    (unrolled_too_far, "unrolled into more than 10000 operations"),
    (alias_written, "copy"),
    (raised_and_suppressed, "ValueError is raised.*with if and else"),
    (refused_and_suppressed, "np.where"),
    (raised_and_caught, "ValueError is raised.*with if and else"),
    (asserted_and_caught, "AssertionError is raised.*with if and else"),
]


@pytest.mark.parametrize("f, words", CASES, ids=lambda v: getattr(v, "__name__", None))
def test_refused(f, words):
    plain = f(3.0) if f not in (unknown_key_by_index,) else None
    with pytest.raises(ad.AdjointError, match=words) as caught:
        capture(rewrite(f), 3.0)
    assert re.search(r"test_fence\.py:\d+", str(caught.value)), "the message names the user's line"
    if plain is not None:
        assert rewrite(f)(3.0) == pytest.approx(plain), "known, it is plain Python"


def test_every_entry_says_why_and_what_to_do():
    for construct, (why, way) in fence.TABLE.items():
        error = fence.refuse(construct, "something")
        assert why in str(error) and way in str(error)
        assert isinstance(error, ad.AdjointError)


def test_a_function_without_text():
    scope = {}
    exec("def f(x):\n    return x * 2 if x > 0 else x\n", scope)
    f = scope["f"]
    assert rewrite(f)(2.0) == 4.0
    assert ad.grad(rewrite(f))(2.0) == 2.0
    assert capture(rewrite(lambda x: f(2.0) * x), 1.0).run(3.0) == [12.0]
    for g in (f, lambda x: f(x) + 1):
        with pytest.raises(fence.FenceError, match="did not keep its text.*ad.while_loop"):
            capture(rewrite(g), 1.0)


def test_a_function_whose_text_is_in_linecache_as_in_a_notebook():
    text = "def f(x):\n    if x > 0:\n        return x * 2\n    return x\n"
    linecache.cache["<cell 1>"] = (len(text), None, text.splitlines(True), "<cell 1>")
    scope = {}
    exec(compile(text, "<cell 1>", "exec"), scope)
    g = capture(rewrite(scope["f"]), 1.0)
    assert [g.run(3.0), g.run(-3.0)] == [[6.0], [-3.0]]


def test_a_function_whose_text_has_changed():
    text = "def f(x, y):\n    return x if x > 0 else y\n"
    linecache.cache["<changed>"] = (len(text), None, text.splitlines(True), "<changed>")
    scope = {}
    exec(compile("def f(x):\n    return -x if x > 0 else x\n", "<changed>", "exec"), scope)
    with pytest.raises(fence.FenceError, match="its text has changed"):
        capture(rewrite(scope["f"]), 1.0)


def test_a_users_except_does_not_swallow_what_is_refused():
    def f(x):
        try:
            y = {1.0: 2.0}[x]
        except Exception:
            y = -1.0
        return y

    assert rewrite(f)(3.0) == -1.0
    with pytest.raises(fence.FenceError):
        capture(rewrite(f), 3.0)


def test_an_exception_that_no_handler_outside_of_the_branch_catches():
    def f(x):
        try:
            if x > 5:
                try:
                    raise KeyError
                except KeyError:
                    x = x * 10
            if x < 0:
                raise ValueError(f"negative: {x}")
        except KeyError:
            x = 0.0
        return x

    g = capture(rewrite(f), 1.0)
    assert [g.run(x)[0] for x in (2.0, 6.0)] == [2.0, 60.0]
    with pytest.raises(ValueError, match=r"negative: -1\.0"):
        g.run(-1.0)


def test_what_a_staged_branch_would_change_outside_is_refused_while_recording():
    class Counter:
        seen = 0.0

    counter = Counter()

    def f(x):
        if x > 0:
            counter.seen = x
        return x

    with recording(Recorder()), pytest.raises(fence.FenceError, match="return the value"):
        capture(rewrite(f), 1.0)
    assert counter.seen == 0.0


def test_a_body_that_fails_leaves_nothing_behind():
    a = ad.numpy.zeros(3)
    box = [1.0]

    def f(x):
        y = a
        while x < 10:
            y[0] = x
            box.append(x)
            x = x * 2
        return x

    with pytest.raises(fence.FenceError):
        capture(rewrite(f), 1.0)
    assert box == [1.0]
    assert a.trace is None and a.numpy().tolist() == [0.0, 0.0, 0.0]
    a[1] = 5.0
    assert a.numpy().tolist() == [0.0, 5.0, 0.0]
