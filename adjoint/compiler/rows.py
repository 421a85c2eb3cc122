"""Tables whose rows are functions: the decorator that fills them."""


def into(table):
    """A decorator of functions that are rows of a table, under each of the keys that it is given.

    >>> TABLE = {}
    >>> row = into(TABLE)
    >>> @row("a", "b")
    ... def f():
    ...     return 1
    >>> TABLE["b"] is f
    True
    """

    def row(*keys):
        def register(f):
            table.update(dict.fromkeys(keys, f))
            return f

        return register

    return row
