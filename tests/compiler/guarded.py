"""A compiled kernel called on memory between pages that nobody may touch: a read or write beside an array ends the process."""

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
FILL = 0xA5
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
NONE, READ_WRITE = 0, 3


class Pages:
    """Room for arrays, each alone on its pages, at their beginning or their end."""

    def __init__(self, rng):
        self.rng = rng
        self.maps: list = []  # (map, address, length, place, size)

    def room(self, size, align=1):
        """The address of `size` bytes between two forbidden pages."""
        inner = max(PAGE, (size + PAGE - 1) // PAGE * PAGE)
        m = mmap.mmap(-1, inner + 2 * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(m))
        ctypes.memset(base + PAGE, FILL, inner)
        place = 0 if self.rng.random() < 0.3 else (inner - size) // align * align
        for guard in (base, base + PAGE + inner):
            if _libc.mprotect(guard, PAGE, NONE):
                raise OSError("mprotect")
        self.maps.append((m, base, inner, place, size))
        return base + PAGE + place

    def put(self, x, dtype):
        a = np.ascontiguousarray(x, dtype)
        address = self.room(a.nbytes, a.itemsize)
        ctypes.memmove(address, a.ctypes.data, a.nbytes)
        return address

    def intact(self):
        """Whether the rest of every page is as it was."""
        for _, base, inner, place, size in self.maps:
            page = np.frombuffer((ctypes.c_ubyte * inner).from_address(base + PAGE), np.uint8)
            if np.any(page[:place] != FILL) or np.any(page[place + size :] != FILL):
                return False
        return True

    def close(self):
        for _, base, inner, _, _ in self.maps:
            for guard in (base, base + PAGE + inner):
                _libc.mprotect(guard, PAGE, READ_WRITE)
        self.maps.clear()


def call(program, args, rng, times=2):
    """The outputs of a compiled Program for these leaves, as arrays, called `times` times on one workspace."""
    kernel = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
        program.loaded.address("kernel")
    )
    graph = program.graph
    pages = Pages(rng)
    workspace = pages.room(program.workspace, 64)
    ctypes.memset(workspace, 0, program.workspace)
    try:
        for _ in range(times):
            ins = [pages.put(x, v.type.dtype) for x, v in zip(args, graph.inputs, strict=True)]
            before = [np.array(x, v.type.dtype) for x, v in zip(args, graph.inputs)]
            outs = [pages.room(v.type.size * v.type.dtype.itemsize, v.type.dtype.itemsize) for v in graph.outputs]
            code = kernel(_pointers(ins), _pointers(outs), workspace)
            if code:
                program._raise(code)
                raise AssertionError(f"the kernel returned {code}")
            results = [_array(p, v.type) for p, v in zip(outs, graph.outputs)]
            for p, x, v in zip(ins, before, graph.inputs):
                assert _array(p, v.type).tobytes() == x.tobytes(), "an input was changed"
            assert pages.intact(), "something was written beside an array"
    finally:
        if program.frees:
            ctypes.CFUNCTYPE(None, ctypes.c_void_p)(program.loaded.address("kernel.free"))(workspace)
        pages.close()
    return results


def _pointers(addresses):
    return (ctypes.c_void_p * max(1, len(addresses)))(*addresses)


def _array(address, t):
    n = t.size * t.dtype.itemsize
    return np.frombuffer(ctypes.string_at(address, n), t.dtype).reshape(t.shape)


def differs(got, want):
    """ "" if two arrays are equal (NaN to NaN, 0 to -0), else where not."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)}, not {want.dtype}{list(want.shape)}"
    wrong = (got != want) & ~((got != got) & (want != want))
    if not np.any(wrong):
        return ""
    at = np.argwhere(wrong)[0] if wrong.ndim else ()
    return f"{np.sum(wrong)} of {got.size} differ, first at {list(map(int, at))}: {got[tuple(at)]!r}, not {want[tuple(at)]!r}"


def far(got, want, tol):
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)}, not {want.dtype}{list(want.shape)}"
    size = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    error = float(np.max(np.abs(got - want), initial=0.0))
    return "" if error <= tol * size else f"off by {error:.2e} at size {size:.2e}"
