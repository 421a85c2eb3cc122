"""The glue, third part: the C function behind every builtin, and what kernels may call. `text()` is the whole module. See glue.py."""

from .glue import C_API, CHECK, FIELDS, HIDDEN, LEAF_WORDS, OUT_ARRAY, STACK, TYPE_FIELDS, at, field, leaf
from .glue_results import POOL, RESULTS, WORKSPACE

CALL = f"""
define ptr @call(ptr %self, ptr %args, i64 %nargs, ptr %kwnames) nounwind {{
entry:
  %stack = alloca [{STACK} x i8], align 64
  %s = alloca {{ptr, ptr, ptr}}
  %t = alloca {{ptr, ptr, ptr, i64}}
  %tree.now = alloca ptr
  %code.p = alloca ptr
{at("capsule", "self", FIELDS["tuple"])}
{at("block", "capsule", FIELDS["capsule"])}
{field("fallback")}
{field("n_args", "i64")}
{field("n_kw", "i64")}
{field("out_name")}
  %enough = icmp eq i64 %nargs, %n_args
  %plain = icmp eq ptr %kwnames, null
  br i1 %plain, label %counted, label %count
count:
{at("kwcount", "kwnames", FIELDS["size"], "i64")}
  br label %counted
counted:
  %given.kw = phi i64 [0, %entry], [%kwcount, %count]
  %extra = sub i64 %given.kw, %n_kw
  %exact = icmp eq i64 %extra, 0
  %one.more = icmp eq i64 %extra, 1
  %takes.out = icmp ne ptr %out_name, null
  %with.out = and i1 %one.more, %takes.out
  %kw.fit = or i1 %exact, %with.out
  %fit = and i1 %enough, %kw.fit
  br i1 %fit, label %room, label %other

other:
  %elsewhere = tail call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %nargs, ptr %kwnames)
  ret ptr %elsewhere

room:
{field("scratch", "i64")}
  %small = icmp ule i64 %scratch, {STACK}
  br i1 %small, label %begin, label %heap
heap:
  %fromheap = call ptr @PyMem_RawMalloc(i64 %scratch)
  %no.heap = icmp eq ptr %fromheap, null
  br i1 %no.heap, label %heap.failed, label %begin
heap.failed:
  call ptr @PyErr_NoMemory()
  ret ptr null

begin:
  %ins = phi ptr [%stack, %room], [%fromheap, %heap]
{field("n_ins", "i64")}
{field("n_holds", "i64")}
{field("n_outs", "i64")}
  %ints = getelementptr i64, ptr %ins, i64 %n_ins
  %holds = getelementptr i64, ptr %ints, i64 %n_ins
  %objs = getelementptr i64, ptr %holds, i64 %n_holds
  %outs = getelementptr i64, ptr %objs, i64 %n_outs
  %slots = getelementptr i64, ptr %outs, i64 %n_outs
{field("leaves")}
  %objs.bytes = mul i64 %n_outs, 8
  %ints.p = getelementptr i8, ptr %s, i64 8
  %holds.p = getelementptr i8, ptr %s, i64 16
  store ptr %ints, ptr %ints.p
  store ptr %holds, ptr %holds.p
{field("n_hidden", "i64")}
  %open = icmp eq i64 %n_hidden, 0
  br i1 %open, label %arguments, label %look
look:
{field("first_hidden", "i64")}
  %ins.hidden = getelementptr ptr, ptr %ins, i64 %first_hidden
  store ptr %ins.hidden, ptr %s
  %found = call fastcc i32 @hidden(ptr %block, ptr %s)
  switch i32 %found, label %look.failed [
    i32 0, label %arguments
    i32 1, label %miss
  ]
look.failed:
  call void @llvm.memset.p0.i64(ptr %objs, i8 0, i64 %objs.bytes, i1 false)
  br label %fail

arguments:
  store ptr %ins, ptr %s
{field("args", "ptr", "program.args")}
  br label %arg.test
arg.test:
  %i = phi i64 [0, %arguments], [%i1, %arg.next]
  %pc = phi ptr [%program.args, %arguments], [%pc.next, %arg.next]
  %args.left = icmp slt i64 %i, %nargs
  br i1 %args.left, label %arg, label %keywords
arg:
  %arg.p = getelementptr ptr, ptr %args, i64 %i
  %value = load ptr, ptr %arg.p
  %pc.next = call fastcc ptr @check(ptr %value, ptr %pc, ptr %s, i1 false)
  %i1 = add i64 %i, 1
  %unfit = icmp eq ptr %pc.next, null
  br i1 %unfit, label %miss, label %arg.next
arg.next:
  br label %arg.test

keywords:
  %values.kw = getelementptr ptr, ptr %args, i64 %nargs
{field("kw")}
  br label %kw.test
kw.test:
  %k = phi i64 [0, %keywords], [%k1, %kw.next]
  %kws.left = icmp slt i64 %k, %n_kw
  br i1 %kws.left, label %kw.one, label %objects
kw.one:
  %row = mul i64 %k, 2
  %name.p = getelementptr ptr, ptr %kw, i64 %row
  %name = load ptr, ptr %name.p
  %program.p = getelementptr ptr, ptr %name.p, i64 1
  %program = load ptr, ptr %program.p
  %place = call fastcc i64 @keyword(ptr %kwnames, i64 %given.kw, ptr %name)
  %k1 = add i64 %k, 1
  %absent = icmp slt i64 %place, 0
  br i1 %absent, label %miss, label %kw.check
kw.check:
  %kw.place = getelementptr ptr, ptr %values.kw, i64 %place
  %kw.value = load ptr, ptr %kw.place
  %kw.end = call fastcc ptr @check(ptr %kw.value, ptr %program, ptr %s, i1 false)
  %kw.unfit = icmp eq ptr %kw.end, null
  br i1 %kw.unfit, label %miss, label %kw.next
kw.next:
  br label %kw.test

objects:
  call void @llvm.memset.p0.i64(ptr %objs, i8 0, i64 %objs.bytes, i1 false)
{field("tree")}
  store ptr %leaves, ptr %t
  %t.objs = getelementptr i8, ptr %t, i64 8
  store ptr %objs, ptr %t.objs
  %t.slots = getelementptr i8, ptr %t, i64 16
  store ptr %slots, ptr %t.slots
  store ptr %tree, ptr %tree.now
  br i1 %with.out, label %out.find, label %ready

out.find:
  %out.place = call fastcc i64 @keyword(ptr %kwnames, i64 %given.kw, ptr %out_name)
  %no.out = icmp slt i64 %out.place, 0
  br i1 %no.out, label %miss, label %out.get
out.get:
  %out.p = getelementptr ptr, ptr %values.kw, i64 %out.place
  %out.value = load ptr, ptr %out.p
{field("none")}
  %out.none = icmp eq ptr %out.value, %none
  br i1 %out.none, label %ready, label %out.walk
out.walk:
  %ours.flag = getelementptr i8, ptr %t, i64 24
  store i64 0, ptr %ours.flag
  %out.fits = call fastcc i1 @given(ptr %out.value, ptr %tree.now, ptr %t, ptr %block)
  br i1 %out.fits, label %out.compare, label %out.miss
out.compare:
  %mixed = call fastcc i1 @overlap(ptr %block, ptr %ins, ptr %objs)
  br i1 %mixed, label %out.miss, label %out.good
out.good:
  %ours.count = load i64, ptr %ours.flag
  %complete = icmp eq i64 %ours.count, 0
  store ptr %leaves, ptr %t
  store ptr %objs, ptr %t.objs
  store ptr %tree, ptr %tree.now
  br label %ready
out.miss:
  call fastcc void @drop(ptr %objs, ptr %outs)
  br label %miss

miss:
  %held.miss = load ptr, ptr %holds.p
  call fastcc void @drop(ptr %holds, ptr %held.miss)
  br i1 %small, label %other.small, label %other.heap
other.heap:
  call void @PyMem_RawFree(ptr %ins)
  br label %other.small
other.small:
  %elsewhere2 = tail call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %nargs, ptr %kwnames)
  ret ptr %elsewhere2

ready:
  %all.given = phi i1 [false, %objects], [false, %out.get], [%complete, %out.good]
  %out.object = phi ptr [null, %objects], [null, %out.get], [%out.value, %out.good]
  %ours = phi i1 [true, %objects], [true, %out.get], [false, %out.good]
{field("pooling", "i64")}
  %pool.wanted = icmp ne i64 %pooling, 0
  %pools = and i1 %pool.wanted, %ours
  br label %out.test
out.test:
  %j = phi i64 [0, %ready], [%j1, %out.store]
  %outs.left = icmp slt i64 %j, %n_outs
  br i1 %outs.left, label %out.one, label %outs.ready
out.one:
  %j1 = add i64 %j, 1
  %leaf.at = mul i64 %j, {LEAF_WORDS}
  %leaf = getelementptr i64, ptr %leaves, i64 %leaf.at
  %obj.p = getelementptr ptr, ptr %objs, i64 %j
  %obj = load ptr, ptr %obj.p
  %obj.ours = icmp eq ptr %obj, null
  br i1 %obj.ours, label %out.make, label %out.array
out.make:
{leaf("kind", "i64")}
  %is.array = icmp eq i64 %kind, {OUT_ARRAY}
  br i1 %is.array, label %out.take, label %out.slot
out.take:
  %taken = call fastcc ptr @take(ptr %leaf)
  %no.array = icmp eq ptr %taken, null
  br i1 %no.array, label %fail, label %out.taken
out.taken:
  store ptr %taken, ptr %obj.p
  br label %out.array
out.array:
  %array = phi ptr [%obj, %out.one], [%taken, %out.taken]
{at("array.data", "array", FIELDS["data"])}
  br label %out.store
out.slot:
  %slot.at = mul i64 %j, 2
  %slot = getelementptr i64, ptr %slots, i64 %slot.at
  br label %out.store
out.store:
  %buffer = phi ptr [%array.data, %out.array], [%slot, %out.slot]
  %buffer.p = getelementptr ptr, ptr %outs, i64 %j
  store ptr %buffer, ptr %buffer.p
  br label %out.test

outs.ready:
{field("ws_size", "i64")}
{field("ws")}
  %without = icmp eq i64 %ws_size, 0
  br i1 %without, label %kernel.call, label %ws.get
ws.get:
  store ptr null, ptr %ws.p
  %ws.taken = icmp eq ptr %ws, null
  br i1 %ws.taken, label %ws.make, label %kernel.call
ws.make:
  %ws.made = call fastcc ptr @ws.new(i64 %ws_size)
  %no.ws = icmp eq ptr %ws.made, null
  br i1 %no.ws, label %ws.failed, label %kernel.call
ws.failed:
  call ptr @PyErr_NoMemory()
  br label %fail

kernel.call:
  %space = phi ptr [null, %outs.ready], [%ws, %ws.get], [%ws.made, %ws.make]
{field("kernel")}
{field("release_gil", "i64")}
  %keep.gil = icmp eq i64 %release_gil, 0
  br i1 %keep.gil, label %locked, label %unlocked
locked:
  %code.locked = call i32 %kernel(ptr %ins, ptr %outs, ptr %space)
  br label %kernel.done
unlocked:
  %thread = call ptr @PyEval_SaveThread()
  %code.unlocked = call i32 %kernel(ptr %ins, ptr %outs, ptr %space)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %kernel.done
kernel.done:
  %code = phi i32 [%code.locked, %locked], [%code.unlocked, %unlocked]
  %good = icmp eq i32 %code, 0
  br i1 %without, label %finished, label %ws.back
; the workspace goes back into the block, unless a call in between has put one there or the kernel stopped half-way
ws.back:
  %now = load ptr, ptr %ws.p
  %vacant = icmp eq ptr %now, null
  %reuse = and i1 %vacant, %good
  br i1 %reuse, label %ws.put, label %ws.discard
ws.put:
  store ptr %space, ptr %ws.p
  br label %finished
ws.discard:
  call fastcc void @ws.drop(ptr %block, ptr %space)
  br label %finished

finished:
  br i1 %good, label %pool.start, label %kernel.failed
pool.start:
  br i1 %all.given, label %theirs, label %pool
theirs:
  call void @Py_IncRef(ptr %out.object)
  call fastcc void @drop(ptr %objs, ptr %outs)
  br label %release

pool:
  br i1 %pools, label %pool.test, label %make
pool.test:
  %q = phi i64 [0, %pool], [%q1, %pool.next]
  %pool.left = icmp slt i64 %q, %n_outs
  br i1 %pool.left, label %pool.one, label %make
pool.one:
  %q1 = add i64 %q, 1
  %q.leaf.at = mul i64 %q, {LEAF_WORDS}
  %q.leaf = getelementptr i64, ptr %leaves, i64 %q.leaf.at
  %q.obj.p = getelementptr ptr, ptr %objs, i64 %q
  %q.obj = load ptr, ptr %q.obj.p
  %q.none = icmp eq ptr %q.obj, null
  br i1 %q.none, label %pool.next, label %pool.put
pool.put:
  call fastcc void @put(ptr %q.leaf, ptr %q.obj)
  br label %pool.next
pool.next:
  br label %pool.test

make:
  %made = call fastcc ptr @build(ptr %tree.now, ptr %t)
  %no.result = icmp eq ptr %made, null
  br i1 %no.result, label %fail, label %release

release:
  %result = phi ptr [%made, %make], [%out.object, %theirs]
  %held = load ptr, ptr %holds.p
  call fastcc void @drop(ptr %holds, ptr %held)
  br i1 %small, label %return, label %return.heap
return.heap:
  call void @PyMem_RawFree(ptr %ins)
  br label %return
return:
  ret ptr %result

kernel.failed:
  %raised = call ptr @PyErr_Occurred()
  %quiet = icmp eq ptr %raised, null
  br i1 %quiet, label %tell, label %fail
tell:
{field("on_error")}
  %mute = icmp eq ptr %on_error, null
  br i1 %mute, label %generic, label %ask
ask:
  %code64 = sext i32 %code to i64
  %code.object = call ptr @PyLong_FromLongLong(i64 %code64)
  %no.code = icmp eq ptr %code.object, null
  br i1 %no.code, label %fail, label %ask.call
ask.call:
  store ptr %code.object, ptr %code.p
  %answer = call ptr @PyObject_Vectorcall(ptr %on_error, ptr %code.p, i64 1, ptr null)
  call void @Py_DecRef(ptr %code.object)
  %did.raise = icmp eq ptr %answer, null
  br i1 %did.raise, label %fail, label %silent
silent:
  call void @Py_DecRef(ptr %answer)
  br label %generic
generic:
{field("error")}
{field("message")}
  call void @PyErr_SetString(ptr %error, ptr %message)
  br label %fail

fail:
  call fastcc void @drop(ptr %objs, ptr %outs)
  %held.fail = load ptr, ptr %holds.p
  call fastcc void @drop(ptr %holds, ptr %held.fail)
  br i1 %small, label %fail.return, label %fail.heap
fail.heap:
  call void @PyMem_RawFree(ptr %ins)
  br label %fail.return
fail.return:
  ret ptr null
}}
"""

# The C function behind an instance, as instances.py arranges: beside itself there is what the builtin has for `self`. That is
# held during the call, in which Python may run and give the instance another builtin.
INSTANCE = f"""
define ptr @call.instance(ptr %f, ptr %args, i64 %nargsf, ptr %kwnames) nounwind {{
{at("kind", "f", FIELDS["type"])}
{at("offset", "kind", TYPE_FIELDS["vectorcall"], "i64")}
  %cell = getelementptr i8, ptr %f, i64 %offset
{at("self", "cell", 8)}
  call void @Py_IncRef(ptr %self)
  %nargs = and i64 %nargsf, {(1 << 63) - 1}
  %result = call ptr @call(ptr %self, ptr %args, i64 %nargs, ptr %kwnames)
  call void @Py_DecRef(ptr %self)
  ret ptr %result
}}
"""

# What kernels may call. Each takes the GIL, whether or not the caller holds it.
SERVICES = """
; Let Ctrl-C through: nonzero when a signal handler raised, with the exception set. And let other threads run.
define i32 @"ad.poll"() nounwind {
  %g = call i32 @PyGILState_Ensure()
  %r = call i32 @PyErr_CheckSignals()
  %stop = icmp ne i32 %r, 0
  br i1 %stop, label %end, label %others
others:
  %thread = call ptr @PyEval_SaveThread()
  call void @PyEval_RestoreThread(ptr %thread)
  br label %end
end:
  call void @PyGILState_Release(i32 %g)
  ret i32 %r
}

; Call the Python function registered under `id` on memory. Nonzero when it raised, with the exception set.
define i32 @"ad.callback"(i64 %id, ptr %ins, ptr %outs) nounwind {
entry:
  %args = alloca [3 x ptr]
  %a0.p = getelementptr ptr, ptr %args, i64 0
  %a1.p = getelementptr ptr, ptr %args, i64 1
  %a2.p = getelementptr ptr, ptr %args, i64 2
  store ptr null, ptr %a0.p
  store ptr null, ptr %a1.p
  store ptr null, ptr %a2.p
  %end = getelementptr ptr, ptr %args, i64 3
  %g = call i32 @PyGILState_Ensure()
  %a0 = call ptr @PyLong_FromLongLong(i64 %id)
  %no0 = icmp eq ptr %a0, null
  br i1 %no0, label %failed, label %first
first:
  store ptr %a0, ptr %a0.p
  %ins.n = ptrtoint ptr %ins to i64
  %a1 = call ptr @PyLong_FromLongLong(i64 %ins.n)
  %no1 = icmp eq ptr %a1, null
  br i1 %no1, label %failed, label %second
second:
  store ptr %a1, ptr %a1.p
  %outs.n = ptrtoint ptr %outs to i64
  %a2 = call ptr @PyLong_FromLongLong(i64 %outs.n)
  %no2 = icmp eq ptr %a2, null
  br i1 %no2, label %failed, label %third
third:
  store ptr %a2, ptr %a2.p
  %handler = load ptr, ptr @handler
  %r = call ptr @PyObject_Vectorcall(ptr %handler, ptr %args, i64 3, ptr null)
  %raised = icmp eq ptr %r, null
  br i1 %raised, label %failed, label %fine
fine:
  call void @Py_DecRef(ptr %r)
  br label %done
failed:
  br label %done
done:
  %code = phi i32 [0, %fine], [-1, %failed]
  call fastcc void @drop(ptr %args, ptr %end)
  call void @PyGILState_Release(i32 %g)
  ret i32 %code
}
"""


def text() -> str:
    """The glue as one module, without its head."""
    declarations = []
    for name, signature in C_API.items():
        result, _, parameters = signature.partition(" ")
        declarations.append(f"declare {result} @{name}{parameters} nounwind")
    variables = (
        "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n"
        "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\n"
        "@comparable = global [3 x ptr] zeroinitializer\n"
        "@handler = global ptr null\n"
    )
    return "\n".join([*declarations, variables, CHECK, HIDDEN, POOL, RESULTS, WORKSPACE, CALL, INSTANCE, SERVICES])
