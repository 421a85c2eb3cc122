"""What `ad.show` says is what the derivatives are; its pictures are well formed and nothing in them overlaps."""

import xml.etree.ElementTree as ET
from collections import namedtuple

import numpy as np
import pytest

import adjoint as ad
from adjoint.views import svg as picture
from adjoint.views.record import count

A = np.array([0.3, -1.2, 4.0])


def chapter(a):
    b = a * 2
    while np.linalg.norm(b) < 10:
        b = b * 2
    return np.where(b > 0, b, 0).sum() if b.sum() > 0 else 100 * b.sum()


def textbook(x):
    return np.log(x**2) * np.sin(x) + 1 / x


def rows(shown, name):
    return [row for row in shown.rows if row.name == name]


def test_totals_of_the_inputs_are_the_gradient():
    shown = ad.show(chapter)(A)
    assert np.array_equal(shown.rows[0].total, ad.grad(chapter)(A))
    assert shown.rows[0].name == "a"
    params = {"w": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": [0.5, np.ones(2)]}

    def loss(p, x, n):
        return (np.tanh(p["w"] @ x) * p["b"][0] + p["b"][1]).sum() * n

    shown = ad.show(loss)(params, np.array([0.1, 0.2]), 3)
    assert [row.name for row in shown.rows[:4]] == ["p['w']", "p['b'][0]", "p['b'][1]", "x"]
    wanted = ad.tree.flatten(ad.grad(loss, argnums=(0, 1))(params, np.array([0.1, 0.2]), 3))[0]
    for row, g in zip(shown.rows[:4], wanted, strict=True):
        np.testing.assert_allclose(row.total, g, rtol=1e-14)


def test_each_node_has_its_value_partials_total_and_line():
    shown = ad.show(textbook)(2.0)
    power, log, sin, product, reciprocal, result = shown.rows[1:]
    record = shown._record
    assert [r.name for r in shown.rows[1:]] == ["power", "log", "sin", "multiply", "divide", "add"]
    assert record.partials(power) == {0: 4.0}
    assert record.partials(log) == {1: 0.25}
    assert record.partials(product) == {2: sin.value, 3: log.value}
    assert record.partials(reciprocal) == {0: -0.25}
    assert sin.value == np.sin(2.0) and result.value == textbook(2.0)
    assert (result.total, product.total, log.total) == (1.0, 1.0, sin.value)
    assert power.where.startswith("test_show.py:") and power.source == "return np.log(x**2) * np.sin(x) + 1 / x"
    text = str(shown)
    assert "%3 = sin(%0)" in text and "d/d%0 = -0.41615" in text and "np.log(x**2)" in text
    assert "forward: 6 operations" in text and "returns %6" in text


def test_partials_are_entry_by_entry_under_broadcasting():
    shown = ad.show(lambda a, b: a * b)(np.array([[1.0], [2.0]]), np.array([3.0, 4.0, 5.0]))
    partials = shown._record.partials(shown.rows[2])
    assert np.array_equal(np.broadcast_to(partials[0], (2, 3)), [[3, 4, 5], [3, 4, 5]])
    assert np.array_equal(np.broadcast_to(partials[1], (2, 3)), [[1, 1, 1], [2, 2, 2]])
    assert "the sum of %2" in str(shown)  # totals of a result that is no scalar


def test_an_argument_used_twice_has_one_edge_with_both_parts():
    shown = ad.show(lambda x: x * x)(3.0)
    assert shown._record.partials(shown.rows[1]) == {0: 6.0}


def test_partials_of_other_ops_are_vectors_or_a_shape():
    shown = ad.show(lambda w, x: np.linalg.norm(w @ x))(np.eye(2), np.array([3.0, 4.0]))
    product, norm = shown.rows[2:]
    np.testing.assert_allclose(shown._record.partials(norm)[2], [0.6, 0.8])
    assert shown._record.partials(product) == {0: "[2]x[2,2] Jacobian", 1: "[2]x[2] Jacobian"}


def test_comparisons_and_unused_nodes_are_shown():
    shown = ad.show(chapter)(A)
    assert [bool(row.value) for row in rows(shown, "less")] == [True, False]
    assert rows(shown, "where")[0].parents == [shown.rows.index(rows(shown, "greater")[1]), 4]
    assert rows(shown, "norm")[0].total is None
    assert "unused" in str(shown)


def test_results_of_several_parts_tuples_and_constants():
    Point = namedtuple("Point", "x y")
    shown = ad.show(lambda p: {"s": p.x + p.y, "d": [p.x - p.y, "text"], "c": 1.0})(Point(2.0, 1.0))
    assert [row.total for row in shown.rows[:2]] == [2.0, 0.0]
    assert "returns %2, %3" in str(shown)
    assert "returns a constant" in str(ad.show(lambda x: 1.0)(2.0))
    shown = ad.show(lambda a: np.linalg.svd(a)[1].sum())(np.diag([3.0, 2.0]))
    np.testing.assert_allclose(shown.rows[0].total, np.eye(2), atol=1e-15)
    assert "(-, 1.0 each, -, -)" in str(shown)
    assert "%1 = " in str(ad.show(lambda z: z * 1j)(1.0 + 2.0j))  # complex: no total, no failure


def test_the_function_runs_once_and_leaves_the_fast_path_on():
    from adjoint.traces import reverse

    calls = []
    ad.show(lambda x: calls.append(1) or x * 2)(1.0)
    assert calls == [1]
    with pytest.raises(ZeroDivisionError):
        ad.show(lambda x: x / 0 + 1 // 0)(1.0)
    assert reverse.SLOW == 0


def test_a_tensor_shows_what_it_was_computed_from():
    x = ad.tensor([1.0, 2.0, 3.0]).attach_grad()
    y = 2 * (x * x).sum()
    shown = ad.show(y)
    assert [row.name for row in shown.rows] == ["x", "multiply", "sum", "multiply"]
    assert np.array_equal(shown.rows[1].value, [1, 4, 9]) and shown.rows[2].value == 14
    assert np.array_equal(shown.rows[0].total, [4, 8, 12])
    assert np.array_equal(shown._record.partials(shown.rows[1])[0], [2, 4, 6])
    y.backward()
    assert np.array_equal(np.asarray(x.grad), [4, 8, 12])  # looking changed nothing
    with pytest.raises(ad.errors.ReleasedError, match=r"before y.backward\(\).*retain_graph"):
        ad.show(y)
    assert "constant" in str(ad.show(ad.tensor(1.0)))


def test_a_tensor_of_many_ops_shows_every_kind_of_node():
    x = ad.tensor([1.0, 2.0, 3.0, 4.0]).attach_grad()
    a = x.reshape(2, 2).T + np.ones((1, 2))
    y = (a[0] * x[1:3] + 3.0).mean() + np.maximum(x, 2.0).prod()
    y.backward(retain_graph=True)
    np.testing.assert_allclose(ad.show(y).rows[0].total, np.asarray(x.grad))
    assert "getitem" in str(ad.show(y)) and ad.show(y).svg


def test_lines_of_a_tensor_are_known_under_debug(capsys):
    with ad.config(debug=1):
        x = ad.tensor(2.0).attach_grad()
        y = x * x
    assert ad.show(y).rows[1].where.startswith("test_show.py:")


def test_a_tensor_inside_a_transform():
    seen = []

    def f(v):
        y = np.sin(v) * v
        seen.append(str(ad.show(y)))
        return y

    ad.grad(f)(2.0)
    ad.grad(ad.grad(f))(2.0)
    ad.vmap(f)(np.ones(2))
    assert len(seen) == 3 and "multiply(%1, %0)" in seen[0] and "Batch" in seen[2]


def test_a_captured_graph():
    graph = ad.graph(textbook)(2.0)
    assert str(ad.show(graph)) == str(graph)
    assert "log(%1)" in ad.show(graph).svg


def test_what_cannot_be_shown():
    with pytest.raises(TypeError, match=r"write ad.show\(f\)\(x\)"):
        ad.show(3.0)
    with pytest.raises(TypeError, match="cost"):
        ad.show(ad.graph(textbook)(2.0)).cost()


def test_long_records_are_folded():
    def long(x):
        for _ in range(300):
            x = np.sin(x) + x / 2
        return x

    shown = ad.show(long)(1.0)
    assert "... 841 more nodes" in str(shown) and len(str(shown).splitlines()) < 70
    assert len(shown.text(None).splitlines()) > 900
    assert "... 701 nodes ..." in shown.svg
    np.testing.assert_allclose(shown.rows[0].total, ad.grad(long)(1.0), rtol=1e-12)


def test_costs():
    counts, y = count(lambda x: np.sin(x) * x + x)(2.0)
    assert counts == {"sin": 1, "multiply": 1, "add": 1} and y.item() == np.sin(2.0) * 2 + 2
    cost = ad.show(lambda x: np.sum(np.sin(x) * x))(A).cost()
    (_, n, _), (_, gradient, _), (_, second, _) = cost.rows
    assert n < gradient < second
    assert "second derivative" in str(cost)
    assert ad.show(lambda x: x * 2)(A)._record.read == 0  # what a linear function's backward pass needs
    assert ad.show(lambda x: x * x)(A)._record.read == 24


# Pictures


def boxes(text):
    """(boxes, labels) of an SVG text, as (left, top, right, bottom)."""
    space = "{http://www.w3.org/2000/svg}"
    found = []
    for rect in ET.fromstring(text).find(f"{space}g").iter(f"{space}rect"):
        x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
        found.append((x, y, x + w, y + h))
    return found


def wide(x, y):
    a = [x, y]
    rng = np.random.default_rng(1)
    for i in range(20):
        j, k = rng.integers(0, len(a), 2)
        a.append(np.sin(a[j]) * a[k] if i % 3 else a[j] + a[k])
    return sum(a[-4:])


@pytest.mark.parametrize("f, args", [(textbook, (2.0,)), (chapter, (A,)), (wide, (1.0, 2.0)), (np.sum, (A,))])
def test_nothing_overlaps_in_a_picture(f, args):
    found = boxes(ad.show(f)(*args).svg)
    for i, (left, top, right, bottom) in enumerate(found):
        for l2, t2, r2, b2 in found[:i]:
            assert left >= r2 - 0.2 or l2 >= right - 0.2 or top >= b2 - 0.2 or t2 >= bottom - 0.2


def test_text_is_inside_its_box():
    space = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(ad.show(chapter)(A).svg)
    seen = 0
    for group in root.find(f"{space}g").iter(f"{space}g"):
        if group.find(f"{space}title") is None:
            continue
        rect = group.find(f"{space}rect")
        right = float(rect.get("x")) + float(rect.get("width"))
        for text in group.iter(f"{space}text"):
            seen += 1
            assert float(text.get("x")) + len(text.text) * 7.23 <= right  # 0.602 em, as most fixed-width fonts have
    assert seen > 20


def test_edges_are_as_many_as_arguments_and_layers_go_down():
    record = ad.show(chapter)(A)._record
    items = picture.boxes(record)
    assert sum(len(item.parents) for item in items) == sum(len(row.parents) for row in record.rows)
    assert all(p.layer < item.layer for item in items for p in item.parents)


def test_what_can_be_saved(tmp_path):
    shown = ad.show(lambda x: x < 3 and x * 2)(np.float64(2.0))  # "<" must be escaped everywhere
    for end in ("svg", "html", "txt", "dot", "mmd"):
        path = tmp_path / f"graph.{end}"
        assert shown.save(path) == path
        assert "multiply" in path.read_text(encoding="utf-8")
    ET.parse(tmp_path / "graph.svg")
    assert "n0 -> n2" in shown.dot() and 'n0 -- "2.0" --> n2' in shown.mermaid()
    with pytest.raises(ValueError, match=r"\.svg"):
        shown.save(tmp_path / "graph.png")
    assert shown._repr_svg_() in shown._repr_html_() and repr(shown) == str(shown)
