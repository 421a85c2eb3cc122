"""The page on speed: saved tables become docs/speed.md's tables and the plots under docs/plots/.

The page's prose is written by hand. Between `<!-- made: NAME -->` and `<!-- end -->` stands what this file makes; what a run did not
measure is said to be missing. Ratios of time only, ours over theirs; losses first. Needs matplotlib.
"""

import json
import re
from pathlib import Path
from statistics import geometric_mean, median

from .contenders import CPP, FAST, JIT, PEERS, REWRITTEN
from .harness import RESULTS, ROOT, SAVED, alike, merged

PAGE, PLOTS = ROOT / "docs" / "speed.md", ROOT / "docs" / "plots"
REGION = re.compile(r"<!-- made: ([\w-]+) -->\n.*?<!-- end -->\n", re.DOTALL)
NOTHING = "Not measured in this run.\n"
NAMES = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "autograd": "HIPS autograd", "mygrad": "MyGrad", "casadi": "CasADi",
         "mindspore": "MindSpore", "numba": "numba"}  # fmt: skip


def write(files=()):
    """Make the regions anew from these files of results, or the saved table, or the newest one."""
    paths = [Path(file) for file in files] or (
        [SAVED] if SAVED.exists() else sorted(RESULTS.glob("*.json"), key=_age)[-1:]
    )
    if not paths:
        print("no results: run the benchmarks first, with --save")
        return 1
    data = None
    for path in paths:
        more = json.loads(path.read_text(encoding="utf-8"))
        if data is not None and not alike(data, more):
            print(f"{path.name} is of another machine or of other versions: the files before it are left out")
        data = more if data is None else merged(data, more)
    assert data is not None
    text = PAGE.read_text(encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    made = []

    def region(found):
        name = found[1]
        made.append(name)
        body = REGIONS[name](data) or NOTHING
        return f"<!-- made: {name} -->\n{body.rstrip()}\n<!-- end -->\n"

    PAGE.write_text(REGION.sub(region, text), encoding="utf-8")
    print(
        f"{PAGE.relative_to(ROOT)}: {', '.join(made)}; plots: {', '.join(p.name for p in sorted(PLOTS.glob('*.svg')))}"
    )
    return 0


def _age(path):
    return path.stat().st_mtime


# ---- words and figures ----


def figure(number):
    """Three digits that count; nothing as a dash."""
    return "-" if number is None else f"{number:.3g}"


def loss(number, equal=False):
    """A ratio; one that we lose by is bold."""
    return f"**{figure(number)}**" if number is not None and number > 1.005 and not equal else figure(number)


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def entry(data, title):
    """The table with this title, or None."""
    return next((e for e in data["results"] if e["title"] == title), None)


def machine(data):
    """Where and with what."""
    versions = data["versions"]
    parts = [f"Python {data['python']}"]
    parts += [f"{name} {versions[key].partition('+')[0]}" for key, name in NAMES.items() if versions.get(key)]
    if compiler := data.get("compiler"):
        kind = "clang" if "clang" in compiler else "g++"
        parts.append(f"{kind} {re.findall(r'[0-9]+[.][0-9.]+', compiler)[-1]}")
    missing = [NAMES[key] for key in data.get("missing", ()) if key in NAMES]
    words = f"Measured on {data['time'][:10]}: {data['cpu']}, {data['cores']} cores, one thread; {', '.join(parts)}."
    if missing:
        words += f" Not installed there, so not compared with: {', '.join(missing)}."
    if data.get("quick"):
        words += " A quick run: small sizes, few rounds."
    if data.get("load") and data["load"] > 1:
        words += " Other programs were running beside it."
    return words + "\n"


# ---- the tables ----


def losses(data):
    """What is lost, in one list: to C++, to peers, and the goals that are missed."""
    refused, lost = [], []
    for title in SUITES.values():
        for line in (entry(data, title) or {}).get("summary", ()):
            if line["base"] != JIT:
                refused.append(f"* {line['title']}: not run by `ad.jit`")
                continue
            cpp = [row for row in (CPP, FAST) if line.get(row, 0) > 1.05 and row not in line.get("equals", ())]
            to = [f"{figure(line[row])} times {_short(row)}" for row in cpp]
            if line.get("peer", 0) > 1 and not line.get("equal"):
                to.append(f"{figure(line['peer'])} times {line['best peer']}")
            if to:
                lost.append((max(line.get(FAST, 0), line.get("peer", 0)), f"* {line['title']}: {', '.join(to)}"))
    out = refused + [text for _, text in sorted(lost, reverse=True)]
    goals = [(e["title"], g) for e in data["results"] for g in e["goals"]]
    missed = [(title.removeprefix("scaling: "), g) for title, g in goals if not g["met"]]
    text = "\n".join(out) + "\n" if out else "Nothing to C++ or to a peer.\n"
    if missed:
        text += f"\nGoals missed ({len(missed)} of {len(goals)}):\n\n"
        rows = [(title, g["what"], figure(g["value"]), figure(g["at most"])) for title, g in missed]
        text += markdown(("", "goal", "measured", "at most"), rows)
    return text


def _short(row):
    return {CPP: "C++ -O3", FAST: "C++ -ffast-math"}.get(row, row)


SUITES = {"arrays": "array programs", "control": "control flow", "gradbench": "GradBench"}


def ratios(name):
    """One of the suites: its table and its plot."""

    def make(data):
        found = entry(data, SUITES[name])
        if not found or not found.get("summary"):
            return None
        rows = []
        for line in found["summary"]:
            if line["base"] != JIT:
                rows.append((line["title"], "refused by jit", *[""] * 7))
                continue
            equal, equals = line.get("equal"), line.get("equals", ())
            rows.append((
                line["title"], loss(line.get(CPP), CPP in equals), loss(line.get(FAST), FAST in equals), loss(line.get(f"{FAST}, kernels")),
                loss(line.get("peer"), equal), line.get("best peer", "-") + (" (equal)" if equal else ""),
                figure(line.get("over value")), figure(line.get("compile")), loss(line.get("compile/JAX")),
            ))  # fmt: skip
        head = ("program", "C++ -O3", "C++ -ffast-math", "kernels alone", "best peer", "", "gradient over function", "compile s",
                "over JAX's")  # fmt: skip
        compiled = [line for line in found["summary"] if line["base"] == JIT]
        middle = [line[FAST] for line in compiled if FAST in line]
        peers = [line["peer"] for line in compiled if "peer" in line]
        words = []
        if middle:
            words.append(f"the median to C++ -ffast-math is {figure(median(middle))}")
        if peers:
            words.append(f"the geometric mean to the best peer is {figure(geometric_mean(peers))}")
        note = f"\nOf {len(compiled)} compiled programs {' and '.join(words)}.\n" if words else ""
        dots(compiled, PLOTS / f"{name}.svg")
        picture = f"\n![Time over that of C++ and of the best peer: {SUITES[name]}](plots/{name}.svg)\n"
        return markdown(head, rows) + note + picture

    return make


def as_written(data):
    """Each peer with the program's own text: a ratio, or why there is none."""
    titles = {
        line["title"]
        for name in ("control", "gradbench")
        for line in (entry(data, SUITES[name]) or {}).get("summary", ())
    }
    rows = []
    for e in data["results"]:
        if e["title"] not in titles or not e["rows"] or e["rows"][0]["name"] != JIT:
            continue
        ours = {row["name"]: row["ratio"] for row in e["rows"]}
        cells = []
        for peer in PEERS:
            why = e.get("refused", {}).get(peer)
            cells.append(loss(ours[peer]) if peer in ours else _why(why) if why else "-")
        if set(cells) != {"-"}:
            rows.append((e["title"], *cells))
    return markdown(("program", *PEERS), rows) if rows else None


def _why(text):
    text = text.removeprefix("as written: ")
    if text.startswith("WRONG"):
        return "wrong"
    if "unrolls" in text:
        return "unrolls"
    return text if text.startswith("gave up") else "refused"


def eager(data):
    """Eager code beside the eager peers: ours over theirs, table by table."""
    peers = ("torch", "autograd", "jax", "mygrad")
    rows, handing = [], []
    for e in data["results"]:
        if e["rows"] and e["rows"][0]["name"] == "adjoint" and any(row["name"] in peers for row in e["rows"]):
            if not all("ratio" in row for row in e["rows"]):
                continue
            ratio = {row["name"]: row["ratio"] for row in e["rows"]}
            if any(peer in ratio for peer in peers):
                numbers = [ratio.get(peer) for peer in peers]
                floor = figure(ratio.get("NumPy, by hand"))
                rows.append((-max(n for n in numbers if n is not None), (e["title"], *map(loss, numbers), floor)))
            if "NumPy handing on, forward only" in ratio:
                handing.append(1 / ratio["NumPy handing on, forward only"])
    if not rows:
        return None
    rows.sort(key=lambda row: row[0])
    text = markdown(("", *(NAMES[peer] for peer in peers), "NumPy, by hand"), [row for _, row in rows])
    if handing:
        text += (
            f"\nTo hand a call of one of its functions on to another library's array, NumPy takes {figure(max(handing))} of the "
            "time of one operation on one number, forward and backward: `np.sin(x)` costs that more than `ad.numpy.sin(x)`.\n"
        )
    return text


def scaling(data):
    """Exponents, and the plots."""
    found = [e for e in data["results"] if e["title"].startswith("scaling: ") and "series" in e]
    if not found:
        return None
    rows, compiling = [], [e for e in found if "to compile" in e["title"]]
    for e in found:
        slopes = {row["name"]: row["value"] for row in e["rows"]}
        others = {name.removesuffix(REWRITTEN) for name in slopes}
        cells = [slopes.get(JIT), slopes.get(FAST)]
        cells += [
            next((slopes[n] for n in (peer, peer + REWRITTEN) if n in slopes), None)
            for peer in ("JAX jit", "torch eager")
        ]
        if JIT in others:
            rows.append(
                (
                    e["title"].removeprefix("scaling: "),
                    e["letter"],
                    *(f"{s:.2f}" if s is not None else "-" for s in cells),
                )
            )
    text = markdown(("exponent of the time", "in", "adjoint jit", "C++ -ffast-math", "JAX jit", "PyTorch eager"), rows)
    groups = {
        "n": [e for e in found if e["letter"] == "n"],
        "T": [e for e in found if e["letter"] == "T" and e not in compiling],
    }
    for name, group, words in (("scaling-arrays", groups["n"], "against the number of elements"),
                               ("scaling-loops", groups["T"], "against the trip count"),
                               ("scaling-compile", compiling, "to compile")):  # fmt: skip
        if group:
            lines(group, PLOTS / f"{name}.svg", seconds=group is compiling)
            text += f"\n![Time {words}](plots/{name}.svg)\n"
    return text


def memory(data):
    """The goals of the tables on memory, met or not."""
    rows = []
    for e in data["results"]:
        if e["title"].startswith(("scaling: memory", "repeat:", "fan-in:", "kept:")):
            title = e["title"].removeprefix("scaling: ")
            for g in e["goals"]:
                rows.append((title, g["what"], figure(g["value"]), figure(g["at most"]), "" if g["met"] else "missed"))
    rows.sort(key=lambda row: row[-1] != "missed")
    return markdown(("", "", "measured", "goal: at most", ""), rows) if rows else None


REGIONS = {
    "machine": machine, "losses": losses, "arrays": ratios("arrays"), "control": ratios("control"), "gradbench": ratios("gradbench"),
    "as-written": as_written, "eager": eager, "scaling": scaling, "memory": memory,
}  # fmt: skip


# ---- the plots ----

COLOURS = {JIT: "#c0392b", FAST: "#2c3e50", CPP: "#7f8c8d", "adjoint eager": "#e59866", "JAX jit": "#2e86c1", "torch eager": "#239b56",
           "autograd": "#8e44ad", "CasADi": "#b7950b"}  # fmt: skip


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "adjoint", "font.size": 9, "font.family": "sans-serif",
        "axes.spines.top": False, "axes.spines.right": False,
    })  # fmt: skip
    import matplotlib.pyplot as plt

    return plt


def _save(figure, path):
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    _pyplot().close(figure)


def dots(summary, path):
    """A line a program: our time over C++'s and over the best peer's."""
    plt = _pyplot()
    shown = [line for line in reversed(summary) if any(key in line for key in (CPP, FAST, "peer"))]
    figure, axes = plt.subplots(figsize=(7.5, 1.1 + 0.22 * len(shown)), layout="constrained")
    kinds = {FAST: ("o", COLOURS[FAST], "C++ -ffast-math"), CPP: ("|", COLOURS[CPP], "C++ -O3"),
             "peer": ("^", COLOURS["JAX jit"], "the best peer")}  # fmt: skip
    for key, (mark, colour, label) in kinds.items():
        points = [(line[key], k) for k, line in enumerate(shown) if key in line]
        if points:
            axes.scatter(*zip(*points, strict=True), marker=mark, color=colour, label=label, s=28, zorder=3)
    axes.set_xscale("log")
    axes.axvline(1.0, color=COLOURS[JIT], linewidth=1)
    axes.set_xlim(right=max(2.0, axes.get_xlim()[1]))
    axes.axvspan(1.0, axes.get_xlim()[1], color=COLOURS[JIT], alpha=0.06, linewidth=0)
    axes.set_yticks(range(len(shown)), [line["title"] for line in shown])
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.grid(axis="y", color="#eeeeee")
    axes.tick_params(axis="y", length=0)
    axes.minorticks_off()
    axes.set_xlabel("our time over theirs; right of the line we are slower")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    _save(figure, path)


def lines(entries, path, seconds=False):
    """A panel a table: times against size, both logarithmic, in multiples of our first one."""
    plt = _pyplot()
    columns = 2 if len(entries) in (2, 4) else min(3, len(entries))
    deep = -(-len(entries) // columns)
    figure, grid = plt.subplots(
        deep,
        columns,
        figsize=(2.7 * columns + 0.6, 2.5 * deep + 0.6),
        layout="constrained",
        squeeze=False,
        sharey=seconds,
    )
    labels = {}
    for axes, e in zip(grid.flat, entries, strict=False):
        unit = 1.0 if seconds or JIT not in e["series"] else e["series"][JIT]["y"][0]
        for row, line in e["series"].items():
            name = row.removesuffix(REWRITTEN)
            twin = e["series"].get(name + REWRITTEN if row == name else name)
            if twin and (len(twin["y"]), -twin["y"][-1]) > (len(line["y"]), -line["y"][-1]):
                continue  # one curve a library: the better one
            style = {"color": COLOURS.get(name, "#555555"), "linewidth": 2 if name == JIT else 1.2}
            drawn = axes.plot(line["x"], [y / unit for y in line["y"]], marker="o", markersize=3, **style)[0]
            labels.setdefault(_short(name), drawn)
        axes.set(
            xscale="log",
            yscale="log",
            title=e["title"]
            .removeprefix("scaling: ")
            .removeprefix("time to compile, ")
            .removesuffix(", time to compile"),
            xlabel=e["letter"],
        )
        axes.title.set_size(9)
        axes.grid(color="#eeeeee")
        axes.minorticks_off()
        if seconds:
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    for axes in grid.flat[len(entries) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("seconds to compile" if seconds else "time, ours at the left = 1")
    figure.legend(labels.values(), labels.keys(), loc="outside upper center", ncols=4, frameon=False)
    _save(figure, path)
