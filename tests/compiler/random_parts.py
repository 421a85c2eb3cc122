"""Steps of random programs that have parts: indices with numbers of their own, loops and branches with bodies."""

import math

import numpy as np

import adjoint as ad
from adjoint.core.types import typeof
from adjoint.primitives.index import index_add, index_set


class Refused(Exception):
    """A step that cannot be drawn here."""


def run(steps, inputs):
    values = list(inputs)
    for s in steps:
        values.append(s.f(*[values[i] for i in s.args]))
    return values


class Indices:
    """Reading and writing parts of arrays."""

    def skeleton(self, shape, arrays=True):
        """(index with None at the places of index arrays, their lengths) for an array of this shape."""
        rng = self.rng
        index: list = []
        lengths: list = []
        where: list = []
        used = int(rng.integers(1, len(shape) + 1)) if shape else 0
        for n in shape[:used]:
            what = rng.random()
            if arrays and what < 0.3 and n:
                where.append(len(index))
                index.append(None)
                lengths.append(n)
            elif what < 0.45 and n:
                index.append(int(rng.integers(-n, n)))
            elif what < 0.5:
                index.append(np.newaxis)
                index.append(slice(None))
            else:
                step = int(rng.choice([1, 1, 1, 2, 3, -1, -2]))
                a, b = (None if rng.random() < 0.3 else int(rng.integers(-n - 1, n + 2)) for _ in range(2))
                index.append(slice(a, b, step))
        if rng.random() < 0.2:
            index.append(Ellipsis)
        return index, where, lengths

    def index(self, i):
        """(a function from index values to an index of value i, the places of the integers it takes, text)."""
        rng = self.rng
        index, where, lengths = self.skeleton(self.type(i).shape)
        places, constants = [], {}
        shape = tuple(int(k) for k in rng.integers(1, 6, int(rng.integers(0, 3))))
        for k, n in zip(where, lengths):
            if rng.random() < 0.5:
                constants[k] = rng.integers(-n, n, shape)
                if rng.random() < 0.3 or not shape:
                    constants[k] = constants[k][..., :1] if shape else int(constants[k])
            else:
                p = self.pick(lambda t: t.dtype.kind == "i" and t.size <= 300 and not t.weak)
                x = np.asarray(self.values[p])
                low = int(np.min(x, initial=x.flat[0])) if x.size and not self.inside else None
                if low is not None and int(np.max(x)) - low >= n:
                    low = None
                places.append((k, p, n, low))
        text = str([f"<{constants[k]!r}>" if k in constants else "?" if k in where else e for k, e in enumerate(index)])

        def full(*numbers):
            row = list(index)
            for k, c in constants.items():
                row[k] = c
            for (k, _, n, low), x in zip(places, numbers):
                row[k] = np.remainder(x, n) if low is None else x - low  # the second is in bounds for this x alone
            return tuple(row)

        return full, tuple(p for _, p, _, _ in places), text

    def getitem(self):
        i = self.pick(lambda t: t.shape != ())
        full, places, text = self.index(i)
        return lambda x, *numbers: x[full(*numbers)], (i, *places), f"getitem {text}"

    def setitem(self):
        i = self.pick(lambda t: t.shape != () and not t.weak)
        full, places, text = self.index(i)
        now = [self.values[p] for p in places]
        shape = np.shape(np.empty(self.type(i).shape)[full(*now)])
        t = self.type(i)

        def fits(u):
            try:
                return np.broadcast_shapes(u.shape, shape) == shape and np.can_cast(u.dtype, t.dtype, "same_kind") and not (
                    self.smooth and u.dtype.kind != "f")  # fmt: skip
            except ValueError:
                return False

        v = self.pick(fits)
        add = self.rng.random() < 0.4 and t.dtype.kind == "f"
        if add:
            self.whole(v, lambda a: np.sum(a) * math.prod(shape))
        change = index_add if add else index_set
        return lambda x, v, *numbers: change(x, full(*numbers), v), (i, v, *places), f"{'add' if add else 'set'} {text}"

    def overlapping(self):
        """A write of an array's own part, as `a[1:] = a[:-1]`."""
        i = self.pick(lambda t: len(t.shape) == 1 and t.size > 1 and not t.weak)
        n = self.type(i).shape[0]
        k = int(self.rng.integers(1, n))
        a, b = (slice(k, None), slice(None, n - k)) if self.rng.random() < 0.5 else (slice(None, n - k), slice(k, None))
        if self.rng.random() < 0.4:
            b = slice(b.stop - 1 if b.stop else None, b.start - 1 if b.start else None, -1)

        def f(x):
            y = ad.numpy.copy(x) if ad.core.tensor.is_tensor(x) else ad.tensor(np.array(x))
            y[a] = y[b]
            return y if ad.core.tensor.is_tracked(y) else np.asarray(y)

        return f, (i,), f"write {a} from {b}"


class Control:
    """Loops and branches."""

    def body(self, places, length):
        """A program on these values: (its drawing, for each of the values the places of results of the same type)."""
        inner = type(self)(self.rng, self.smooth, [self.values[i] for i in places], inside=True)
        inner.wide = self.wide
        inner.grow(length)
        like = []
        for i in range(len(places)):
            t = inner.type(i)
            like.append(
                [
                    k
                    for k in range(len(inner.values))
                    if inner.type(k) == t and (k >= len(places) or self.rng.random() < 0.3)
                ]
                or [i]
            )
        return inner, like

    def bounded(self, x, like):
        """A state that cannot grow without bounds."""
        if typeof(like).dtype.kind == "b":
            return x
        if self.smooth:
            return np.tanh(x) if typeof(like).dtype.kind == "f" else x
        return np.remainder(x, typeof(like).dtype.type(7))

    def states(self, most=3):
        strong = lambda t: (
            not t.weak
            and (not self.smooth or t.dtype.kind == "f")
            and t.dtype.name in ("float64", "float32", "int64", "bool")
        )
        count = int(self.rng.integers(1, most + 1))
        return list(dict.fromkeys(self.pick(strong) for _ in range(count)))

    def loop(self):
        rng = self.rng
        state = self.states()
        outer = [self.pick(lambda t: not t.weak) for _ in range(int(rng.integers(0, 3)))]
        outer = [p for p in dict.fromkeys(outer) if p not in state]
        count = self.pick(lambda t: t.shape == () and t.dtype == np.int64 and not t.weak)
        n = len(state)
        inner, like = self.body([*state, *outer, count], int(rng.integers(1, 6)))
        chosen = [int(rng.choice(like[k])) for k in range(n)]
        mode = str(rng.choice(["while", "scan", "scan"]))
        first = [self.values[p] for p in state]
        text = f"{mode} [{'; '.join(f'v{s.args} {s.text}' for s in inner.steps)}] -> {chosen}"

        def step(now, fixed):
            values = run(inner.steps, [*now, *fixed])
            return values, tuple(self.bounded(values[c], x) for c, x in zip(chosen, first))

        if mode == "while":

            def f(*args):
                now, fixed = args[:n], args[n:]
                limit = np.remainder(fixed[-1], 5)
                body = lambda s: (s[0] + 1, *step(s[1:], fixed)[1])
                done = ad.while_loop(lambda s: s[0] < limit, body, (limit * 0, *now))
                return self.together(done[1:])

        else:
            steps = int(rng.integers(1, 6))
            more = int(rng.integers(0, len(inner.values)))
            back = bool(rng.random() < 0.3)
            text += f" x{steps} and {more}{' reversed' * back}"

            def f(*args):
                now, fixed = args[:n], args[n:]

                def one(s, _):
                    values, new = step(s, fixed)
                    return new, values[more]

                done, ys = ad.scan(one, tuple(now), length=steps, reverse=back)
                return self.together([*done, ys])

        return f, (*state, *outer, count), text

    def together(self, xs):
        """One array of several: raveled, in the first one's dtype."""
        t = typeof(xs[0]).dtype
        cast = lambda x: (
            np.ravel(x) if typeof(x).dtype == t else np.ravel(np.where(np.ravel(x) > 0, t.type(1), t.type(0)))
        )
        return np.concatenate([cast(x) for x in xs])

    def branch(self):
        rng = self.rng
        state = self.states()
        test = self.pick(lambda t: t.shape == () and not t.weak)
        n = len(state)
        sides = []
        for _ in range(2):
            inner, like = self.body([*state, test], int(rng.integers(0, 5)))
            sides.append((inner.steps, [int(rng.choice(like[k])) for k in range(n)]))
        text = f"cond {[[f'v{s.args} {s.text}' for s in steps] for steps, _ in sides]} -> {[c for _, c in sides]}"

        def f(*args):
            def side(steps, chosen):
                def g(*xs):
                    values = run(steps, xs)
                    return tuple(values[c] for c in chosen)

                return g

            out = ad.cond(args[-1] > 0, side(*sides[0]), side(*sides[1]), *args)
            return self.together(out)

        return f, (*state, test), text
