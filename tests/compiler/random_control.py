"""Random programs with nested if, while, for, break, continue, return and else, whose branches really differ."""

import linecache
import random

TEXTS = ["p", "q", "r"]


class Writer:
    """Writes one function of x and y; every loop ends by a count, every name is bound before it is read.

    optional: with variables besides that are None at first, and may be so again; they are used where a test says that they are not;
    and with one that is a text.
    """

    def __init__(self, seed, optional=False):
        self.optional = ["m", "n"] if optional else []
        self.random = random.Random(seed)
        self.names = ["x", "y"]
        self.lines = []
        self.loops = 0

    def number(self):
        return repr(round(self.random.uniform(-2, 2), 2))

    def value(self, depth=2):
        r = self.random.random()
        if depth == 0 or r < 0.4:
            return self.random.choice(self.names) if r < 0.3 else self.number()
        a, b = self.value(depth - 1), self.value(depth - 1)
        kind = self.random.randrange(7)
        if kind < 3:
            return f"({a} {'+-*'[kind]} {b})"
        if kind == 3:
            return f"np.sin({a})"
        if kind == 4:
            return f"({a} if {self.test(1)} else {b})"
        if kind == 5:
            return f"{self.random.choice(['min', 'max'])}({a}, {b})"
        return f"abs({a})"

    def test(self, depth=2):
        r = self.random.random()
        if depth == 0 or r < 0.6:
            return f"{self.value(1)} {self.random.choice(['<', '>', '<=', '>='])} {self.value(1)}"
        if r < 0.7:
            return f"not ({self.test(depth - 1)})"
        if r < 0.8:
            return f"{self.number()} < {self.value(1)} < {self.value(1)}"
        return f"({self.test(depth - 1)}) {self.random.choice(['and', 'or'])} ({self.test(depth - 1)})"

    def put(self, indent, text):
        self.lines.append("    " * indent + text)

    def there(self):
        """(a test that an optional variable is not None, the variable)."""
        m = self.random.choice(self.optional)
        return self.random.choice([f"{m} is not None", f"not {m} is None"]), m

    def optionally(self, indent):
        test, m = self.there()
        value = f"np.tanh({self.value()})"
        kind = self.random.randrange(12)
        text = self.random.choice(TEXTS)
        if kind == 7:
            self.put(indent, f"s = {text!r}")
        elif kind == 8:
            self.put(indent, f"s = {text!r} if {self.test(1)} else s")
        elif kind == 9:
            test = self.random.choice([f"s == {text!r}", f"s != {text!r}", f"s in {TEXTS[:2]}"])
            self.put(indent, f"if {test}:")
            self.put(indent + 1, f"{self.random.choice(self.names)} = {value}")
        elif kind == 10:
            at = self.random.choice(self.names)
            self.put(indent, f"if abs({at}) < 3:")
            self.put(indent + 1, f"{self.random.choice(self.names)} = buf[int({at})] * {self.number()}")
        elif kind == 11:
            a = self.random.choice(["x", "y"])
            self.put(indent, f"if {a} > 0.1:")
            self.put(indent + 1, f"while {a} < 2.5:")
            self.put(indent + 2, f"{a} = {a} * 1.7")
        elif kind == 0:
            self.put(indent, f"{m} = {self.random.choice(['None', 'm', 'n', value])}")
        elif kind == 1:
            self.put(indent, f"if {m} is None or {value} {self.random.choice('<>')} {m}:")
            self.put(indent + 1, f"{m} = {value}")
        elif kind == 2:
            self.put(indent, f"if {test} and {m} < {self.value(1)}:")
            self.put(indent + 1, f"{self.random.choice(self.names)} = np.tanh({m} * {self.value(1)})")
            if self.random.random() < 0.5:
                self.put(indent, "else:")
                self.put(indent + 1, f"{m} = {self.random.choice(['None', value])}")
        elif kind == 3:
            self.put(indent, f"{self.random.choice(self.names)} = {m} if {test} else {self.value(1)}")
        elif kind == 4:
            self.put(indent, f"if {m} is None:")
            self.put(indent + 1, f"{m} = {value}")
            self.put(indent, f"{self.random.choice(self.names)} = {m} * 0.5")
        elif kind == 5:
            self.put(indent, f"m, n = {self.random.choice(['n, m', f'{value}, m', f'n, {value}', 'None, n'])}")
        else:
            self.put(indent, f"{self.random.choice(self.names)} = np.tanh(({m} or {self.value(1)}) - {self.value(1)})")

    def assign(self, indent):
        r = self.random.random()
        if self.optional and self.random.random() < 0.5:
            self.optionally(indent)
            return
        new = f"v{len(self.names)}"
        if r < 0.25:
            self.put(indent, f"{new} = np.tanh({self.value()})")
            self.names.append(new)
        elif r < 0.4:
            a, b = self.random.choice(self.names), self.random.choice(self.names)
            if a != b:
                self.put(indent, f"{a}, {b} = {b}, np.tanh({self.value()})")
            else:
                self.put(indent, f"{a} = {a} * 0.5")
        elif r < 0.55:
            self.put(indent, f"{self.random.choice(self.names)} -= 0.3 * np.cos({self.value()})")
        elif r < 0.7:
            self.put(indent, f"buf[{self.random.randrange(3)}] = np.tanh({self.value()})")
        elif r < 0.8:
            self.put(indent, f"{self.random.choice(self.names)} = buf[{self.random.randrange(3)}] + {self.value(1)}")
        else:
            self.put(indent, f"{self.random.choice(self.names)} = np.tanh({self.value()})")

    def block(self, indent, depth, loop, count=None):
        """Names bound in here may not be bound behind it."""
        before = list(self.names)
        for _ in range(count or self.random.randrange(1, 4)):
            self.statement(indent, depth, loop)
        self.names = before

    def statement(self, indent, depth, loop):
        r = self.random.random()
        if depth == 0 or r < 0.35:
            self.assign(indent)
        elif r < 0.65:
            self.put(indent, f"if {self.test()}:")
            self.block(indent + 1, depth - 1, loop)
            if self.random.random() < 0.5:
                self.jump(indent + 1, loop)
            if self.random.random() < 0.25:
                self.put(indent, f"elif {self.test()}:")
                self.block(indent + 1, depth - 1, loop)
            if self.random.random() < 0.5:
                self.put(indent, "else:")
                self.block(indent + 1, depth - 1, loop)
                if self.random.random() < 0.3:
                    self.jump(indent + 1, loop)
        elif r < 0.8:
            n = self.loops = self.loops + 1
            self.put(indent, f"k{n} = 0")
            self.put(indent, f"while k{n} < {self.random.choice([3, 6, 14])} and ({self.test(1)}):")
            self.put(indent + 1, f"k{n} += 1")
            self.block(indent + 1, depth - 1, True)
            self.orelse(indent, depth, loop)
        else:
            n = self.loops = self.loops + 1
            kind = self.random.randrange(3)
            if kind == 0:
                self.put(indent, f"for i{n} in range({self.random.choice([2, 4, 12])}):")
            elif kind == 1:
                self.put(indent, f"for i{n}, w{n} in enumerate([{self.value(0)}, {self.value(0)}, {self.value(0)}]):")
            else:
                self.put(indent, f"for i{n} in reversed(range({self.random.choice([3, 11])})):")
            self.names.append(f"i{n}" if kind != 1 else f"w{n}")
            self.readonly = None
            self.put(indent + 1, f"{self.random.choice(['x', 'y'])} = np.tanh({self.value()} + 0.1 * i{n})")
            self.names.pop()
            self.block(indent + 1, depth - 1, True)
            self.orelse(indent, depth, loop)

    def orelse(self, indent, depth, loop):
        if self.random.random() < 0.3:
            self.put(indent, "else:")
            self.block(indent + 1, depth - 1, loop, 1)

    def jump(self, indent, loop):
        kinds = ["return"] + (["break", "continue"] * 2 if loop else [])
        kind = self.random.choice(kinds)
        self.put(indent, kind if kind != "return" else f"return {self.value(1)} + {self.value(1)} * x")

    def function(self):
        self.put(0, "def f(x, y):")
        self.put(1, "buf = np.array([x, y, x * y])")
        if self.optional:
            self.put(1, "m = n = None")
            self.put(1, "s = 'p'")
        for _ in range(self.random.randrange(2, 5)):
            self.statement(1, 3, False)
        more = "".join(f" + (0.7 if {m} is None else {m})" for m in self.optional)
        more += " + {'p': 0.1, 'q': x, 'r': y * 2.0}[s]" if self.optional else ""
        self.put(1, f"return {self.value()} + {self.value()} * x + buf[0] * buf[1] - buf[2]{more}")
        return "\n".join(self.lines) + "\n"


def program(seed, optional=False):
    """(f, its text) of a random program."""
    import numpy as np

    text = Writer(seed, optional).function()
    name = f"<random program {seed}>.py"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope = {"np": np}
    exec(compile(text, name, "exec"), scope)
    return scope["f"], text
