"""Modules that show the names of another one, or the methods of an object, beside their own."""


def mirror(load, *own):
    """(__getattr__, __dir__) of a module with the names of what load() gives, and its own.

    Names of Python's, such as `__path__`, which would make the module a package, are not passed on.
    """

    def get(name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(load(), name)

    return get, lambda: [*dir(load()), *own]
