"""autograd.wrap_util: operators of functions of one argument made operators of functions of many; names of wrappers."""

from .differential_operators import unary_to_nary  # noqa: F401


def wraps(fun, namestr="{fun}", docstr="{doc}", **settings):
    """A decorator: the wrapper is named like fun, by a format in which {fun}, {doc} and the settings are filled in."""

    def named(wrapper):
        name, doc = getattr(fun, "__name__", "[unknown name]"), getattr(fun, "__doc__", "") or ""
        wrapper.__name__ = namestr.format(fun=name, **settings)
        wrapper.__doc__ = docstr.format(fun=name, doc=doc, **settings)
        return wrapper

    return named
