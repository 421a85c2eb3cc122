"""A Record as a picture: layers from inputs down to the result, drawn as SVG text.

1. layers: the longest path from the inputs, inputs above their first use; long edges get a point in each layer;
2. order within layers: sweeps that sort by the barycentre of the neighbours;
3. positions: sweeps that put each box under the mean of its neighbours, as near as order and gaps allow;
4. drawing. Each edge ends in a port of its own, whose label (the local partial) stands above it in a strip that belongs
   to the box, so labels cannot meet.
"""

import itertools
from html import escape

from .text import columns, cut
from .words import box, brief_partial, total_text

CHAR = 7.5  # width of a character at 12 px in common fixed-width fonts: 0.6 em, and some for rounding
LINE = 16  # height of a line of text
PAD = 9
GAP = 26  # between boxes
CURVES = 34  # height of the strip where edges bend
LABELS = 22  # height of the strip above each layer where the partials stand
FOLD = 200  # more nodes than these are folded in the middle

# Attributes, not a style sheet: in a notebook a style sheet would hold for the whole page, and some viewers ignore it.
TEXT = {
    "": 'fill="#1f2933"',
    "head": 'fill="#1f2933" font-weight="bold"',
    "total": 'fill="#9a3412"',
    "code": 'fill="#6b7280"',
    "partial": 'fill="#1d4ed8" font-size="11" text-anchor="middle"',
}
BOX = {
    "input": 'fill="#e8f1fd" stroke="#7aa7e0"',
    "op": 'fill="#f8fafc" stroke="#aab4c0"',
    "constant": 'fill="#ffffff" stroke="#aab4c0" stroke-dasharray="4 3"',
    "result": 'fill="#fff3e0" stroke="#e0a458"',
}
EDGE = "#8a95a3"
FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"


class Item:
    """A box, or a point where a long edge passes a layer: that has no lines of text."""

    __slots__ = ("children", "height", "kind", "layer", "lines", "parents", "ports", "title", "width", "x", "y")

    def __init__(self, layer=0):
        self.layer = layer
        self.kind = ""
        self.title = ""
        self.lines = ()  # (text, class)
        self.parents = []  # items above
        self.children = []
        self.ports = []  # (offset of the port from the left edge, label), one for each parent
        self.width = self.height = self.x = self.y = 0.0


def draw(record):
    """The SVG text of a Record."""
    items = boxes(record)
    layers = with_points(items)
    order(layers)
    place(layers)
    return write(layers, record.title)


# What is drawn


def boxes(record):
    rows = record.rows
    shown = list(range(len(rows)))
    fold = None
    if len(rows) > FOLD:
        keep = FOLD // 2
        fold = Item()
        fold.kind = "constant"
        fold.lines = ((f"... {len(rows) - 2 * keep} nodes ...", "head"),)
        shown = [*shown[:keep], *shown[-keep:]]
    made = {i: Item() for i in shown}
    items = []
    for i in shown:
        row = rows[i]
        item = made[i]
        partials = record.partials(row)
        ports = []
        for p in row.parents:
            parent = made.get(p, fold)
            if parent is fold and fold in item.parents:
                continue
            item.parents.append(parent)
            ports.append(cut(brief_partial(partials.get(p, ""), 22), 22))
        describe(record, i, item, ports)
        items.append(item)
    if fold is not None:
        inside = set(range(len(rows))) - set(shown)
        fold.parents = [made[p] for p in dict.fromkeys(p for i in sorted(inside) for p in rows[i].parents) if p in made]
        size(fold, [""] * len(fold.parents))
        items.insert(FOLD // 2, fold)
    for item in items:
        for parent in item.parents:
            parent.children.append(item)
    for item in items:  # oldest first: parents have their layer
        item.layer = 1 + max((p.layer for p in item.parents), default=-1)
    for item in items:
        if not item.parents and item.children:
            item.layer = min(c.layer for c in item.children) - 1
    return items


def describe(record, i, item, ports):
    """Text, colour and ports of a row's box."""
    row = record.rows[i]
    head, value, *_ = box(record, i)
    lines = [(head, "head"), (value, "")]
    total = total_text(record, row)
    if total:
        lines.append((total, "code") if row.total is None else (f"total {total}", "total"))
    if row.op is not None and row.source:  # it does not make the box wider; all of it is in the tooltip
        lines.append((cut(row.source, max(26, *(len(text) for text, _ in lines))), "code"))
    item.lines = tuple(lines)
    item.title = "\n".join(filter(None, (head, f"{row.where}  {row.source}".strip())))
    if i in record.outputs:
        item.kind = "result"
    elif row.op is None:
        item.kind = "input"
    else:
        item.kind = "op" if row.node is not None or not record.what else "constant"
    size(item, ports)


def size(item, labels):
    """The box's size: room for its text, and for the labels of its ports side by side."""
    text = max((columns(t) for t, _ in item.lines), default=0) * CHAR + 2 * PAD
    wide = [columns(label) * CHAR * 11 / 12 + 12 for label in labels]
    item.width = max(text, sum(wide))
    item.height = LINE * len(item.lines) + 2 * PAD - 3
    room = (item.width - sum(wide)) / max(len(wide), 1)
    at = 0.0
    for label, w in zip(labels, wide, strict=True):
        item.ports.append((at + (w + room) / 2, label))
        at += w + room


# Where it stands


def with_points(items):
    """The layers, with points on the edges that pass through them."""
    layers = [[] for _ in range(1 + max((i.layer for i in items), default=0))]
    for item in items:
        layers[item.layer].append(item)
    for item in items:
        item.children = []
    for item in items:
        for k, parent in enumerate(item.parents):
            above = parent
            for layer in range(parent.layer + 1, item.layer):
                # edges of one parent share their points as far as they go
                point = next((c for c in above.children if not c.lines and c.layer == layer), None)
                if point is None:
                    point = Item(layer)
                    point.parents = [above]
                    point.ports = [(1.0, "")]
                    point.width = 2.0
                    above.children.append(point)
                    layers[layer].append(point)
                above = point
            item.parents[k] = above
            above.children.append(item)
    return layers


def order(layers):
    """Sort each layer by the barycentre of its neighbours, down and up; keep the order with the fewest crossings."""
    best = [list(layer) for layer in layers]
    fewest = crossings(layers)
    for sweep in range(12):
        if not fewest:
            break
        down = sweep % 2 == 0
        pairs = list(itertools.pairwise(layers))
        for above, below in pairs if down else pairs[::-1]:
            layer, fixed = (below, above) if down else (above, below)
            rank = {id(item): n for n, item in enumerate(fixed)}
            means = {}
            for n, item in enumerate(layer):
                near = [rank[id(o)] for o in (item.parents if down else item.children)]
                means[id(item)] = sum(near) / len(near) if near else n
            layer.sort(key=lambda item: means[id(item)])
        n = crossings(layers)
        if n < fewest:
            fewest, best = n, [list(layer) for layer in layers]
    for layer, found in zip(layers, best, strict=True):
        layer[:] = found
    # ports in the order of where their edges come from
    rank = {id(item): n for layer in layers for n, item in enumerate(layer)}
    for layer in layers:
        for item in layer:
            if len(item.parents) > 1:
                labels = [label for _, label in item.ports]
                pairs = sorted(zip(item.parents, labels, strict=True), key=lambda pair: rank[id(pair[0])])
                item.parents = [p for p, _ in pairs]
                item.ports = []
                if item.lines:
                    size(item, [label for _, label in pairs])


def crossings(layers):
    """How many pairs of edges between neighbouring layers cross; an estimate by 20,000 pairs at most."""
    n = 0
    for above, below in itertools.pairwise(layers):
        rank = {id(item): k for k, item in enumerate(above)}
        edges = [(rank[id(p)], k) for k, item in enumerate(below) for p in item.parents][:200]
        n += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(edges) for c, d in edges[:i])
    return n


def place(layers):
    """x of all items, by sweeps; y by layers."""
    for layer in layers:
        spread(layer, [0.0] * len(layer), [1.0] * len(layer))
    for sweep in range(18):
        straighten(layers)
        down = sweep % 2 == 0 or sweep == 17
        for layer in layers if down else layers[::-1]:
            wish = []
            weight = []
            for item in layer:
                # where the left edge should be for straight edges
                up = [p.x + p.width / 2 - offset for p, (offset, _) in zip(item.parents, item.ports, strict=True)]
                below = [port(c, item) - item.width / 2 for c in item.children]
                near = up + below if 8 <= sweep < 17 else (up or below) if down else (below or up)
                wish.append(sum(near) / len(near) if near and item.lines else item.x)
                weight.append(1.0 if item.lines else 20.0)
            spread(layer, wish, weight)
    straighten(layers)
    for layer in layers:  # the boxes stay where they are, the points give way
        spread(layer, [item.x for item in layer], [1e6 if item.lines else 1.0 for item in layer])
    left = min((item.x for layer in layers for item in layer), default=0.0)
    y = 0.0
    for layer in layers:
        y += LABELS + CURVES if y else 0.0
        height = max(item.height for item in layer)
        for item in layer:
            item.x -= left
            item.y = y
            if not item.lines:
                item.height = height
        y += height


def port(item, parent):
    """x of the port where the edge from this parent ends."""
    return item.x + next(offset for p, (offset, _) in zip(item.parents, item.ports, strict=True) if p is parent)


def straighten(layers):
    """Put the points of each long edge straight above the port where it ends."""
    for layer in layers[::-1]:
        for item in layer:
            if not item.lines:
                item.x = sum(port(c, item) for c in item.children) / len(item.children) - item.width / 2


def spread(layer, wish, weight):
    """Left edges nearest to the wishes, in least squares, in this order with gaps between: pool adjacent violators."""
    blocks: list = []  # [weight, weighted sum, how many items]
    offsets = []
    at = 0.0
    for item, w, k in zip(layer, wish, weight, strict=True):
        offsets.append(at)
        blocks.append([k, k * (w - at), 1])
        at += item.width + GAP
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][0] > blocks[-1][1] / blocks[-1][0]:
            k2, s2, n2 = blocks.pop()
            blocks[-1] = [blocks[-1][0] + k2, blocks[-1][1] + s2, blocks[-1][2] + n2]
    n = 0
    for k, s, count in blocks:
        for _ in range(count):
            layer[n].x = s / k + offsets[n]
            n += 1


# As text


def write(layers, title):
    items = [item for layer in layers for item in layer]
    width = max((i.x + i.width for i in items), default=0) + 2 * PAD
    height = max((i.y + i.height for i in items), default=0) + 2 * PAD
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        'style="max-width:100%" role="img">',  # without height it keeps its proportions where it is made narrower
        f"<title>{escape(title)}</title>",
        '<defs><marker id="adjoint-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" '
        'orient="auto">'
        f'<path d="M0 0.5 L8 4 L0 7.5 z" fill="{EDGE}"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<g transform="translate({PAD},{PAD})" font-family="{FONT}" font-size="12">',
    ]
    for item in items:
        out += edges(item)
    for item in items:
        out += labels(item)
    for item in items:
        if item.lines:
            out += text_box(item)
    return "\n".join([*out, "</g>", "</svg>", ""])


def edges(item):
    out = []
    for parent, (offset, _) in zip(item.parents, item.ports, strict=True):
        x0, y0 = parent.x + parent.width / 2, parent.y + parent.height
        x1, y1 = item.x + offset, item.y
        bend = y1 - LABELS  # below it edges are straight, where the labels stand
        top = bend - CURVES  # above it too: boxes of one layer differ in height
        middle = (top + bend) / 2
        path = f"M{x0:.1f} {y0:.1f} V{top:.1f} C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {bend:.1f}"
        end = f" V{y1 - 1:.1f}" if item.lines else f" V{y1 + item.height:.1f}"
        arrow = ' marker-end="url(#adjoint-arrow)"' if item.lines else ""
        out.append(f'<path d="{path}{end}" fill="none" stroke="{EDGE}" stroke-width="1.3"{arrow}/>')
    return out


def labels(item):
    out = []
    for offset, label in item.ports:
        if label:
            x = item.x + offset
            w = columns(label) * CHAR * 11 / 12 + 4
            y = item.y - LABELS + 1
            out.append(f'<rect x="{x - w / 2:.1f}" y="{y:.1f}" width="{w:.1f}" height="13" fill="#ffffff"/>')
            out.append(f'<text {TEXT["partial"]} x="{x:.1f}" y="{y + 10:.1f}">{escape(label)}</text>')
    return out


def text_box(item):
    out = [
        f"<g><title>{escape(item.title)}</title>",
        f'<rect {BOX[item.kind]} x="{item.x:.1f}" y="{item.y:.1f}" width="{item.width:.1f}" '
        f'height="{item.height:.1f}" rx="5"/>',
    ]
    for n, (text, style) in enumerate(item.lines):
        y = item.y + PAD + LINE * n + 11
        out.append(f'<text {TEXT[style]} x="{item.x + PAD:.1f}" y="{y:.1f}">{escape(text)}</text>')
    return [*out, "</g>"]
