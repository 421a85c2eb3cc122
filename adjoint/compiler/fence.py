"""What source capture refuses, why, and the way out. Nothing here is refused while it is plain Python: only where a construct
is staged (its decision waits for a value that is not known), or where compiled code would lose its meaning."""

from ..core.errors import ConcreteError, where

TABLE = {
    # construct: (why, the way out)
    "source": (
        "it decides on a value that is not known, and its text, which is needed to stage that, is not to be had",
        "put the function in a file or a notebook cell, or use ad.cond, ad.while_loop or ad.scan in it",
    ),
    "unseen state": (
        "compiled code would not see that it changes",
        "pass it as an argument, or put the function in a file or a notebook cell",
    ),
    "match": (
        "its patterns compare with a value that is not known",
        "write it with if, elif and else",
    ),
    "binding": (
        "whether the name is bound depends on that value",
        "bind it in a statement of its own, before",
    ),
    "generator": (
        "a generator's own control flow is not staged",
        "collect the values in a list, or in an array made before the loop",
    ),
    "choice": (
        "which of them is meant is decided when the code runs, and all must be numbers, or arrays of one shape",
        "write the decision with if and else, or make them alike",
    ),
    "global": (
        "compiled code would not bind the name again at each call",
        "return the value instead",
    ),
    "cell": (
        "the variable belongs to a function outside, and compiled code would not bind it again at each call",
        "return the value instead",
    ),
    "outside": (
        "the change depends on a value that is not known, and compiled code would not make it again at each call",
        "return the value instead",
    ),
    "plain array": (
        "it is a NumPy array of a library's making, written in a part whose decision is not known yet",
        "copy it first, a = np.array(a)",
    ),
    "random": (
        "the draw would be made once, when the code is captured, and then stay the same for ever",
        "draw outside and pass the numbers as an argument",
    ),
    "caught": (
        "whether the handler runs depends on a value that is not known, and compiled code has no handlers",
        "write the decision with if and else, or raise outside of the try",
    ),
    "recursion": (
        "how deep it goes depends on a value that is not known",
        "write it as a while loop, with a list of your own for what is left to do, or as ad.while_loop",
    ),
    "endless": (
        "nothing would end it",
        "return without calling it again on some path",
    ),
    "recursive write": (
        "what it changes outside of itself would depend on how deep it goes",
        "return the value instead",
    ),
    "maybe": (
        "whether there is None in its place is decided when the code runs",
        "ask `if x is not None:` first, and use it in there",
    ),
    "list": (
        "its length would depend on a value that is not known",
        "write into an array made before the loop (a = np.zeros(n); a[k] = x), or use ad.scan",
    ),
    "container": (
        "what it holds would depend on a value that is not known",
        "give it its keys before the loop or branch, each with a value of the final shape",
    ),
    "mask": (
        "how many there are depends on values that are not known",
        "make the mask once, m = x > 0, and reduce what it chooses (sum, mean, max ...), write with it, or use np.where(m, x, 0)",
    ),
    "size": (
        "compiled code works with arrays of known shapes",
        "make it as long as it can get, np.zeros(x.size), and write into a part of it; or compile in the argument that it comes from, "
        "ad.jit(f, static_argnums=...)",
    ),
    "mask in place": (
        "another name may stand for them",
        "bind the name anew, y = y + 1",
    ),
    "key": (
        "the key is a value that is not known",
        "use an array instead of the dict, or np.where",
    ),
    "text": (
        "the text of a value that is not known is not known either",
        "print it, or put it into the message of an exception",
    ),
    "iterator": (
        "it would be advanced once, when the code is captured, and not at each step",
        "make a list of it first, list(it)",
    ),
    "integer": (
        "a Python integer that it computes may outgrow 64 bits",
        "make it a float, float(n)",
    ),
    "iteration": (
        "how often it goes round depends on a value that is not known",
        "use a for statement over range(n), or ad.while_loop",
    ),
    "unrolled": (
        "a loop of known length that cannot be kept a loop was unrolled into more than 10000 operations",
        "make it a loop that can stay one: a state with the same names, shapes and dtypes at each step, no list or dict that "
        "grows; or use ad.scan",
    ),
    "alias": (
        "which array the write goes to depends on a value that is not known, or on the step",
        "copy the array first, b = a.copy()",
    ),
    "state": (
        "what a loop or a branch leaves behind must have the same type and shape on every path",
        "give the name a value of the final shape and dtype before it",
    ),
}


class FenceError(ConcreteError):
    """Source capture met something that it refuses: the message says what, where, why, and the way out."""

    construct = ""  # its row of the table


class Resist(FenceError):
    """A loop of known length cannot be kept a loop, or a branch not staged; the message is the reason."""


class Unreachable(FenceError):
    """A path that the program cannot take: it reads what no path that leads to it has left."""


class Unfinished(FenceError):
    """A function calls itself before it is known what it returns: the path tells nothing."""


def refuse(construct, what, kind=FenceError):
    """The error for a construct of the table; `what` says what was met."""
    why, way = TABLE[construct]
    error = kind(f"{what}{where()}: {why}; {way}")
    error.construct = construct
    return error
