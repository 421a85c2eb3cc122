"""Random functions that call themselves: in branches, in sequence, inside arguments; each call brings the end nearer."""

import linecache
import random


class Writer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.calls = 0
        self.pair = self.random.random() < 0.3  # whether the function returns two values
        self.count = self.random.random() < 0.5  # whether it takes a number that starts known
        self.middle = self.random.random() < 0.4  # whether it takes a bound that no derivative leads to

    def number(self):
        return repr(round(self.random.uniform(-1.5, 1.5), 2))

    def value(self, names, depth=2):
        r = self.random.random()
        if depth == 0 or r < 0.35:
            return self.random.choice(names) if r < 0.25 else self.number()
        a, b = self.value(names, depth - 1), self.value(names, depth - 1)
        kind = self.random.randrange(6)
        if kind < 3:
            return f"({a} {'+-*'[kind]} {b})"
        return f"np.sin({a})" if kind == 3 else f"np.tanh({a})" if kind == 4 else f"max({a}, {b})"

    def call(self, names):
        self.calls += 1
        less = self.random.choice(["fuel - 1", "fuel - 1.5", "fuel * 0.5 - 0.5"])
        args = [self.value(names, 1), self.value(names, 1), less]
        if self.calls < 4 and self.random.random() < 0.1 and not self.pair:
            args[0] = self.call(names)
        if self.count:
            args.append(self.random.choice(["k + 1", "k * 2", "k"]))
        if self.middle:
            args.append(f"m={self.random.choice(['0.5 * (m + 1.0)', '0.5 * m', '0.9 * m + 0.01 * m * m'])}")
        return f"f({', '.join(args)})"

    def put(self, indent, text):
        self.lines.append("    " * indent + text)

    def result(self, names):
        return f"{self.value(names)}, {self.value(names)}" if self.pair else self.value(names)

    def block(self, indent, names, depth):
        """Statements that may bind names, which are returned."""
        for _ in range(self.random.randrange(1, 3)):
            r = self.random.random()
            new = f"v{len(names)}"
            if r < 0.3:
                self.put(indent, f"{new} = {self.value(names)}")
            elif r < 0.65 and self.calls < 3:
                if self.pair:
                    self.put(indent, f"{new}, {self.random.choice(names[:2])} = {self.call(names)}")
                else:
                    self.put(indent, f"{new} = {self.call(names)} * {self.value(names, 1)}")
            elif depth:
                self.put(indent, f"{new} = {self.value(names, 1)}")
                self.put(indent, f"if {self.value(names, 1)} < {self.value(names, 1)}:")
                self.block(indent + 1, [*names, new], depth - 1)
                if self.random.random() < 0.3:
                    self.put(indent + 1, f"return {self.result(names)}")
                else:
                    self.put(indent + 1, f"{new} = {self.value(names)}")
                if self.random.random() < 0.6:
                    self.put(indent, "else:")
                    self.block(indent + 1, [*names, new], depth - 1)
                    self.put(indent + 1, f"{self.random.choice(names[:2])} = np.tanh({self.value([*names, new])})")
            else:
                self.put(indent, f"{new} = {self.value(names)}")
            names = [*names, new]
        return names

    def function(self):
        names = ["x", "y", *["k"] * self.count, *["m"] * self.middle]
        self.put(0, f"def f(x, y, fuel{', k=1' if self.count else ''}{', m=0.5' if self.middle else ''}):")
        self.put(1, "if fuel < 1:")
        self.put(2, f"return {self.result(names)}")
        names = self.block(1, names, 2)
        if not self.calls:
            new = f"v{len(names)}"
            self.put(1, f"{new}, y = {self.call(names)}" if self.pair else f"{new} = {self.call(names)}")
            names = [*names, new]
        if self.random.random() < 0.25:
            self.put(1, f"return {self.call(names)}")
        else:
            self.put(1, f"return {self.result(names)}")
        return "\n".join(self.lines) + "\n"


def program(seed):
    """(f of x, y and the fuel, its text)."""
    import numpy as np

    writer = Writer(seed)
    text = writer.function()
    name = f"<random recursion {seed}>.py"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope = {"np": np}
    exec(compile(text, name, "exec"), scope)
    f = scope["f"]
    return (lambda x, y, fuel: f(x, y, fuel)[0] + f(x, y, fuel)[1]) if writer.pair else f, text
