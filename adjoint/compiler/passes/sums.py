"""Sums: what a slice's or an index's cotangent adds up to, without an array of zeros for each.

Reverse mode turns n reads of one array into `scatter(g1) + scatter(g2) + ...`, each as large as the array. Scatters of large
slices, as a stencil leaves them, become one `scatter_sum`, which is computed place by place; scatters of few elements become
`index_add`, which is done in the memory of its first argument where nobody else reads that. Rounding may change, since the
terms are added in another order.
"""

import numpy as np

from ...core.op import OPS, Op
from ...core.types import Array
from ...primitives.index import _add_at, _expand, fill
from ...traces.graph import Const, Graph
from .rewrite import param_key, rebuild

_ADD, _SCATTER, _PAD, _SET, _BROADCAST = (OPS[n] for n in ("add", "scatter", "pad", "index_set", "broadcast_to"))


def _scatter_sum(*vs, boxes, shape):
    y = np.zeros(shape, np.result_type(*vs))
    for v, box in zip(vs, boxes, strict=True):
        if box is None:
            y += v
        else:
            y[tuple(slice(a, b) for a, b in box)] += np.reshape(v, [b - a for a, b in box])
    return y


# each box is the place of a term: (first, past the last) an axis; None: a term as large as the result
scatter_sum = Op(
    "scatter_sum", _scatter_sum, kind="linear", register=False,
    type=lambda *types, boxes, shape: Array(shape, np.result_type(*(t.dtype for t in types))),
)  # fmt: skip


def _index_add(x, v, *arrays, index):
    y = np.array(x)
    if arrays:
        _add_at(y, index, arrays, np.asarray(v))
    else:
        y[fill(index, arrays)] += v
    return y


index_add = Op(
    "index_add", _index_add, kind="linear", register=False, type=lambda x, v, *arrays, index: Array(x.shape, x.dtype)
)


def sums(graph: Graph) -> Graph:
    """The graph with sums of scatters done in one place."""
    return rebuild(graph, _start)


def box_of(index, shape, have):
    """The box that a static index stands for, or None: slices without steps, and integers."""
    box: list = []
    axis = 0
    for i in _expand(index, len(shape)):
        if i is None:
            continue
        if i is Ellipsis:
            continue
        n = shape[axis]
        if type(i) is int:
            i = i + n if i < 0 else i
            box.append((i, i + 1))
        elif type(i) is slice:
            r = range(*i.indices(n))
            if r.step != 1:
                return None
            box.append((r.start, max(r.start, r.stop)))
        else:
            return None
        axis += 1
    size = 1
    for a, b in box:
        size *= b - a
    return tuple(box) if len(box) == len(shape) and size == int(np.prod(have)) else None


def _start(b):
    def step(line):
        again = line.op is scatter_sum and any(b.made_by(a, _SET, scatter_sum) for a in line.args)
        if again or (
            line.op is _ADD and _adds_scatters(b, line) and all(_like(a.type, line.out.type) for a in line.args)
        ):
            dense, boxes, few = _terms(b, line)
            if boxes or few:
                value = _joined(b, dense, boxes, few, line.out.type)
                if value is not None:
                    return value
        return b.append(line)

    return step


def _adds_scatters(b, line):
    """Whether there is a scatter among what is added, at any depth: noted a line, or long sums were walked again and again."""
    found = any(b.made_by(a, _SCATTER, _PAD, scatter_sum, index_add) or a in b.memo for a in line.args)
    if found:
        b.memo[line.out] = True
    return found


def _like(a, t):
    return a.shape == t.shape and a.dtype == t.dtype


def _terms(b, line):
    """What an addition adds, taken apart as far as nobody else reads its parts: arrays, (part, its box), (part, where)."""
    t = line.out.type
    dense: list = []
    boxes: list = []
    few: list = []
    stack = list(reversed(line.args))
    if line.op is scatter_sum:
        boxes += [(x, box) for x, box in zip(line.args, line.params["boxes"]) if box is not None]
        stack = [x for x, box in zip(line.args, line.params["boxes"]) if box is None]
    while stack:
        a = stack.pop()
        made = b.made_by(a, _ADD, _SCATTER, _PAD, scatter_sum, index_add) if b.once(a) else None
        if made is None or not _like(a.type, t):
            dense.append(a)
        elif made.op is _ADD:
            args = [x for x in made.args if not _is_zero(b, x)] or made.args[:1]
            if all(_like(x.type, t) for x in args):
                stack += reversed(args)
            else:
                dense.append(a)
        elif made.op is scatter_sum:
            for x, box in zip(made.args, made.params["boxes"]):
                if box is None:
                    stack.append(x)
                else:
                    boxes.append((x, box))
        elif made.op is index_add:
            x, v, *arrays = made.args
            stack.append(x)
            few.append((v, arrays, made.params["index"]))
        elif made.op is _PAD:
            (x,) = made.args
            boxes.append((x, tuple((w, w + n) for (w, _), n in zip(made.params["width"], x.type.shape))))
        else:
            x, *arrays = made.args
            index = made.params["index"]
            box = None if arrays else box_of(index, t.shape, x.type.shape)
            if box is not None and 2 * x.type.size >= t.size:
                boxes.append((x, box))
            else:
                few.append((x, arrays, index))
    return dense, boxes, few


def _cleared(b, dense, boxes, t):
    """x with zeros written in a box, and what is added in that box: that is written there at once."""
    out = []
    for d in dense:
        made = b.made_by(d, _SET) if b.once(d) else None
        if made is not None and len(made.args) == 2 and _is_zero(b, made.args[1]):
            x, _ = made.args
            box = box_of(made.params["index"], t.shape, _extent(made.params["index"], t))
            same = [
                v
                for v, other in boxes
                if other == box and _like(v.type, Array(_extent(made.params["index"], t), t.dtype))
            ]
            if box is not None and same and _like(x.type, t):
                boxes[:] = [(v, other) for v, other in boxes if not any(v is w for w in same) or other != box]
                total = same[0]
                for v in same[1:]:
                    total = b.emit(_ADD, [total, v])
                d = b.emit(_SET, [x, total], made.params)
        out.append(d)
    return out


def _is_zero(b, v):
    made = b.made_by(v, _BROADCAST)
    v = made.args[0] if made is not None else v
    return type(v) is Const and np.ndim(v.value) == 0 and not np.any(v.value)


def _extent(index, t):
    return np.broadcast_to(np.float64(0), t.shape)[index].shape


def _together(b, few):
    """What is added in the same place is added up first: that is done in a loop over it, not in the large array."""
    places: dict = {}
    out: list = []
    for v, arrays, index in few:
        key = None if arrays else (param_key(index, b.memo), v.type)
        if key is not None and key in places:
            k = places[key]
            out[k] = (b.emit(_ADD, [out[k][0], v]), arrays, index)
        else:
            if key is not None:
                places[key] = len(out)
            out.append((v, arrays, index))
    return out


def _joined(b, dense, boxes, few, t):
    few = _together(b, few)
    total = None
    dense = [d for d in _cleared(b, dense, boxes, t) if not _is_zero(b, d)]
    boxes = [(v, box) for v, box in boxes if not _is_zero(b, v)]
    if len(dense) == 1 and not boxes and not few:
        return dense[0]
    if boxes:
        places = [None] * len(dense) + [box for _, box in boxes]
        total = b.emit(scatter_sum, [*dense, *(v for v, _ in boxes)], {"boxes": tuple(places), "shape": t.shape})
    elif dense:
        total = dense[0]
        for d in dense[1:]:
            total = b.emit(_ADD, [total, d])
    if total is None:
        if len(few) < 2:
            return None
        v, arrays, index = few.pop(0)
        total = b.emit(_SCATTER, [v, *arrays], {"index": index, "shape": t.shape})
    for v, arrays, index in few:
        total = b.emit(index_add, [total, v, *arrays], {"index": index})
    return total if total.type == t else None
