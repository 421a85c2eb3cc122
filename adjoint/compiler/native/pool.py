"""A pool of threads for the pieces of large loops: `void @ad.parallel(ptr piece, ptr context, i64 n)` calls piece(context, i) for
each i below n, and returns when all are done. Knows build.py and the setting `threads`; knows nothing of loops.

Threads take pieces off a common counter; what each piece computes does not depend on who computes it. The caller works too, and
does everything where nobody helps: with one thread, while another call uses the pool, after a fork. So nothing ever
waits for a thread that might not come: the caller only waits for those that have begun.

The threads are Python's, parked in native code without the GIL; pieces never ask for it. They are started by the first
kernel that is made or setting that is made while `threads` is more than 1, and live as long as the process.
"""

import ctypes
import functools
import os
import threading

from ...core.config import config, on_change
from . import build

# Places in the pool's memory: a mutex and two conditions, each in 128 bytes, larger than any system's; then words.
_WORK, _DONE = 128, 256
_HELPERS, _BUSY, _WANTED, _INSIDE, _PIECE, _CONTEXT, _COUNT, _NEXT = range(384, 448, 8)
_BYTES = 512
# helpers: how many threads may help. busy: a call uses the pool. wanted: helpers that may still join it. inside: those in it.

# the end of a function: its caller does all pieces, one after the other
_IN_TURN = """alone:
  br label %head
head:
  %i = phi i64 [ 0, %alone ], [ %i1, %body ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %end
body:
  call void %piece(ptr %context, i64 %i)
  %i1 = add i64 %i, 1
  br label %head
end:
  ret void
"""

_TEXT = f"""
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)

@pool = global ptr null

define internal void @pieces(ptr %pool, ptr %piece, ptr %context, i64 %n) {{
entry:
  %next.p = getelementptr i8, ptr %pool, i64 {_NEXT}
  br label %take
take:
  %i = atomicrmw add ptr %next.p, i64 1 seq_cst
  %more = icmp slt i64 %i, %n
  br i1 %more, label %work, label %done
work:
  call void %piece(ptr %context, i64 %i)
  br label %take
done:
  ret void
}}

define void @ad.parallel(ptr %piece, ptr %context, i64 %n) {{
entry:
  %pool = load atomic ptr, ptr @pool acquire, align 8
  %some = icmp ne ptr %pool, null
  br i1 %some, label %ask, label %alone
ask:
  %helpers.p = getelementptr i8, ptr %pool, i64 {_HELPERS}
  %helpers = load atomic i64, ptr %helpers.p monotonic, align 8
  %any = icmp sgt i64 %helpers, 0
  br i1 %any, label %claim, label %alone
claim:
  %busy.p = getelementptr i8, ptr %pool, i64 {_BUSY}
  %claimed = cmpxchg ptr %busy.p, i64 0, i64 1 seq_cst seq_cst
  %ours = extractvalue {{ i64, i1 }} %claimed, 1
  br i1 %ours, label %publish, label %alone
publish:
  %work.p = getelementptr i8, ptr %pool, i64 {_WORK}
  %done.p = getelementptr i8, ptr %pool, i64 {_DONE}
  %wanted.p = getelementptr i8, ptr %pool, i64 {_WANTED}
  %inside.p = getelementptr i8, ptr %pool, i64 {_INSIDE}
  %piece.p = getelementptr i8, ptr %pool, i64 {_PIECE}
  %context.p = getelementptr i8, ptr %pool, i64 {_CONTEXT}
  %count.p = getelementptr i8, ptr %pool, i64 {_COUNT}
  %next.p = getelementptr i8, ptr %pool, i64 {_NEXT}
  %l1 = call i32 @pthread_mutex_lock(ptr %pool)
  store ptr %piece, ptr %piece.p
  store ptr %context, ptr %context.p
  store i64 %n, ptr %count.p
  store atomic i64 0, ptr %next.p seq_cst, align 8
  %others = sub i64 %n, 1
  %few = icmp slt i64 %others, %helpers
  %wanted = select i1 %few, i64 %others, i64 %helpers
  store i64 %wanted, ptr %wanted.p
  %b = call i32 @pthread_cond_broadcast(ptr %work.p)
  %u1 = call i32 @pthread_mutex_unlock(ptr %pool)
  call void @pieces(ptr %pool, ptr %piece, ptr %context, i64 %n)
  %l2 = call i32 @pthread_mutex_lock(ptr %pool)
  store i64 0, ptr %wanted.p
  br label %look
look:
  %inside = load i64, ptr %inside.p
  %left = icmp sgt i64 %inside, 0
  br i1 %left, label %wait, label %leave
wait:
  %w = call i32 @pthread_cond_wait(ptr %done.p, ptr %pool)
  br label %look
leave:
  %u2 = call i32 @pthread_mutex_unlock(ptr %pool)
  store atomic i64 0, ptr %busy.p seq_cst, align 8
  ret void

{_IN_TURN}}}

define void @help(ptr %pool) {{
entry:
  %work.p = getelementptr i8, ptr %pool, i64 {_WORK}
  %done.p = getelementptr i8, ptr %pool, i64 {_DONE}
  %wanted.p = getelementptr i8, ptr %pool, i64 {_WANTED}
  %inside.p = getelementptr i8, ptr %pool, i64 {_INSIDE}
  %piece.p = getelementptr i8, ptr %pool, i64 {_PIECE}
  %context.p = getelementptr i8, ptr %pool, i64 {_CONTEXT}
  %count.p = getelementptr i8, ptr %pool, i64 {_COUNT}
  %l1 = call i32 @pthread_mutex_lock(ptr %pool)
  br label %look
look:
  %wanted = load i64, ptr %wanted.p
  %join = icmp sgt i64 %wanted, 0
  br i1 %join, label %enter, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr %work.p, ptr %pool)
  br label %look
enter:
  %less = sub i64 %wanted, 1
  store i64 %less, ptr %wanted.p
  %before = load i64, ptr %inside.p
  %with = add i64 %before, 1
  store i64 %with, ptr %inside.p
  %piece = load ptr, ptr %piece.p
  %context = load ptr, ptr %context.p
  %n = load i64, ptr %count.p
  %u1 = call i32 @pthread_mutex_unlock(ptr %pool)
  call void @pieces(ptr %pool, ptr %piece, ptr %context, i64 %n)
  %l2 = call i32 @pthread_mutex_lock(ptr %pool)
  %now = load i64, ptr %inside.p
  %without = sub i64 %now, 1
  store i64 %without, ptr %inside.p
  %s = call i32 @pthread_cond_signal(ptr %done.p)
  br label %look
}}
"""
_ALONE = f"""
define void @ad.parallel(ptr %piece, ptr %context, i64 %n) {{
  br label %alone
{_IN_TURN}}}
"""


class _Plain:
    functions: dict = {}
    declarations: dict = {}


_lock = threading.Lock()
_memory: list = []  # of the pools of this process and, after a fork, of its parent: threads may wait in them
_started = 0  # threads that this process's pool has
_asked = 1  # what the pool was told last


@functools.cache
def _loaded():
    text = _TEXT if os.name == "posix" else _ALONE
    return build.load(build.assemble(_Plain(), text))


def address() -> int:
    """The address of `ad.parallel`; its pool has the threads that the setting asks for."""
    _loaded()
    resize(config.threads)
    return _loaded().address("ad.parallel")


def resize(threads):
    """Let `threads` threads, the caller's counted, work on a loop."""
    global _started, _asked
    if os.name != "posix" or (threads <= 1 and not _memory):
        return
    with _lock:
        _asked = threads
        if not _memory:
            _begin()
        base = ctypes.addressof(_memory[-1])
        for _ in range(_started, threads - 1):
            help_ = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_loaded().address("help"))
            threading.Thread(target=help_, args=(base,), name="adjoint", daemon=True).start()
            _started += 1
        ctypes.c_int64.from_address(base + _HELPERS).value = max(0, threads - 1)


def _begin():
    """Memory for a pool without threads."""
    memory = (ctypes.c_uint64 * (_BYTES // 8))()
    base = ctypes.addressof(memory)
    c = ctypes.CDLL(None)
    c.pthread_mutex_init(ctypes.c_void_p(base), None)
    for condition in (_WORK, _DONE):
        c.pthread_cond_init(ctypes.c_void_p(base + condition), None)
    _memory.append(memory)
    ctypes.c_uint64.from_address(_loaded().address("pool")).value = base


def _after_fork():
    """The child has none of the threads, and perhaps a locked mutex: it works alone until `threads` is set again."""
    global _started, _asked, _lock
    _lock, _asked = threading.Lock(), 1
    if _memory:
        _started = 0
        _begin()


def _changed(before, after):
    if after["threads"] != _asked and _loaded.cache_info().currsize:
        resize(after["threads"])


on_change(_changed)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
