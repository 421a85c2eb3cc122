"""The glue, second part: result arrays and their pool, results as trees, `out=`, the workspace. See glue.py."""

from .glue import (
    ALIGNED,
    CONST,
    CONTIGUOUS,
    DICT,
    FIELDS,
    LEAF_FIELDS,
    LEAF_WORDS,
    LIST,
    MADE,
    OUT_BOOL,
    OUT_COMPLEX,
    OUT_FLOAT,
    OUT_INT,
    TUPLE,
    WRITEABLE,
    at,
    field,
    leaf,
    word,
)  # fmt: skip

F = FIELDS

# Arrays for results. Two are kept an output; one is used again when nobody else holds it (reference count 1) and nobody changed
# its form. Two, since in `y = f(x)` the old y lives until the new one is there.
POOL = f"""
define internal fastcc i1 @usable(ptr %a, ptr %leaf) nounwind {{
entry:
  %no = icmp eq ptr %a, null
  br i1 %no, label %bad, label %there
there:
  %count = load i32, ptr %a
  %alone = icmp eq i32 %count, 1
{at("flags", "a", F["flags"], "i32")}
{leaf("flags", "i64", "want.flags")}
  %want.flags32 = trunc i64 %want.flags to i32
  %c0 = icmp eq i32 %flags, %want.flags32
{at("descr", "a", F["descr"])}
{leaf("descr", "ptr", "want.descr")}
  %c1 = icmp eq ptr %descr, %want.descr
{at("nd32", "a", F["nd"], "i32")}
  %nd = zext i32 %nd32 to i64
{leaf("nd", "i64", "want.nd")}
  %c2 = icmp eq i64 %nd, %want.nd
{at("weak", "a", F["weakrefs"])}
  %c3 = icmp eq ptr %weak, null
  %d0 = and i1 %alone, %c0
  %d1 = and i1 %c1, %c2
  %d2 = and i1 %d0, %d1
  %d3 = and i1 %d2, %c3
  br i1 %d3, label %dims, label %bad
dims:
{at("have", "a", F["dims"])}
{leaf("dims", "ptr", "want.dims")}
  br label %test
test:
  %k = phi i64 [0, %dims], [%k1, %next]
  %left = icmp slt i64 %k, %nd
  br i1 %left, label %one, label %good
one:
  %p = getelementptr i64, ptr %have, i64 %k
  %x = load i64, ptr %p
  %q = getelementptr i64, ptr %want.dims, i64 %k
  %y = load i64, ptr %q
  %k1 = add i64 %k, 1
  %fits = icmp eq i64 %x, %y
  br i1 %fits, label %next, label %bad
next:
  br label %test
good:
  ret i1 true
bad:
  ret i1 false
}}

define internal fastcc ptr @take(ptr %leaf) nounwind {{
entry:
{leaf("spare")}
  %u = call fastcc i1 @usable(ptr %spare, ptr %leaf)
  br i1 %u, label %first, label %second
first:
  store ptr null, ptr %spare.p
  ret ptr %spare
second:
{leaf("older")}
  %w = call fastcc i1 @usable(ptr %older, ptr %leaf)
  br i1 %w, label %old, label %make
old:
  store ptr null, ptr %older.p
  ret ptr %older
make:
{leaf("descr")}
{leaf("nd", "i64")}
{leaf("dims")}
  call void @Py_IncRef(ptr %descr)
  %nd32 = trunc i64 %nd to i32
  %made = call ptr @PyArray_Empty(i32 %nd32, ptr %dims, ptr %descr, i32 0)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %done, label %note
note:
{at("flags", "made", F["flags"], "i32")}
  %flags64 = zext i32 %flags to i64
  %leaf.flags = getelementptr i8, ptr %leaf, i64 {8 * LEAF_FIELDS.index("flags")}
  store i64 %flags64, ptr %leaf.flags
  br label %done
done:
  ret ptr %made
}}

define internal fastcc void @put(ptr %leaf, ptr %a) nounwind {{
{leaf("spare")}
{leaf("older")}
  call void @Py_IncRef(ptr %a)
  %none = icmp eq ptr %spare, null
  br i1 %none, label %first, label %full
first:
  store ptr %a, ptr %spare.p
  ret void
full:
  %room = icmp eq ptr %older, null
  br i1 %room, label %second, label %replace
second:
  store ptr %a, ptr %older.p
  ret void
replace:
  store ptr %spare, ptr %older.p
  store ptr %a, ptr %spare.p
  call void @Py_DecRef(ptr %older)
  ret void
}}
"""

# Results. `t` has three cursors: the next leaf, its object (if an array), the two words of its value (if a scalar).
RESULTS = f"""
define internal fastcc ptr @build(ptr %pc.p, ptr %t) nounwind {{
entry:
  %arg = alloca ptr
  %pc = load ptr, ptr %pc.p
{word("kind", "pc", 0, "i64")}
{word("op", "pc", 1)}
{word("n", "pc", 1, "i64")}
  %next1 = getelementptr i64, ptr %pc, i64 1
  %next2 = getelementptr i64, ptr %pc, i64 2
  switch i64 %kind, label %leaf.one [
    i64 {CONST}, label %const
    i64 {TUPLE}, label %tuple
    i64 {LIST}, label %list
    i64 {DICT}, label %dict
    i64 {MADE}, label %made
  ]

leaf.one:
  store ptr %next1, ptr %pc.p
  %leaf = load ptr, ptr %t
  %leaf.next = getelementptr i64, ptr %leaf, i64 {LEAF_WORDS}
  store ptr %leaf.next, ptr %t
  %objs.p = getelementptr i8, ptr %t, i64 8
  %objs = load ptr, ptr %objs.p
  %objs.next = getelementptr ptr, ptr %objs, i64 1
  store ptr %objs.next, ptr %objs.p
  %slots.p = getelementptr i8, ptr %t, i64 16
  %slot = load ptr, ptr %slots.p
  %slot.next = getelementptr i64, ptr %slot, i64 2
  store ptr %slot.next, ptr %slots.p
  %array = load ptr, ptr %objs
  %scalar = icmp eq ptr %array, null
  br i1 %scalar, label %make, label %ready
ready:
  store ptr null, ptr %objs
  ret ptr %array
make:
{leaf("kind", "i64", "leaf.kind")}
{leaf("type")}
  switch i64 %leaf.kind, label %numpy [
    i64 {OUT_FLOAT}, label %float
    i64 {OUT_INT}, label %int
    i64 {OUT_BOOL}, label %bool
    i64 {OUT_COMPLEX}, label %complex
  ]
float:
  %x = load double, ptr %slot
  %r.float = call ptr @PyFloat_FromDouble(double %x)
  ret ptr %r.float
int:
  %i = load i64, ptr %slot
  %r.int = call ptr @PyLong_FromLongLong(i64 %i)
  ret ptr %r.int
bool:
  %b = load i8, ptr %slot
{leaf("other")}
  %false = icmp eq i8 %b, 0
  %r.bool = select i1 %false, ptr %type, ptr %other
  call void @Py_IncRef(ptr %r.bool)
  ret ptr %r.bool
complex:
  %re = load double, ptr %slot
  %im.p = getelementptr i8, ptr %slot, i64 8
  %im = load double, ptr %im.p
  %r.complex = call ptr @PyComplex_FromDoubles(double %re, double %im)
  ret ptr %r.complex
numpy:
  %r.numpy = call ptr @_PyObject_New(ptr %type)
  %no.numpy = icmp eq ptr %r.numpy, null
  br i1 %no.numpy, label %none, label %numpy.made
numpy.made:
{leaf("nbytes", "i64")}
  %value = getelementptr i8, ptr %r.numpy, i64 {F["scalar"]}
  call void @llvm.memcpy.p0.p0.i64(ptr %value, ptr %slot, i64 %nbytes, i1 false)
  ret ptr %r.numpy

const:
  store ptr %next2, ptr %pc.p
  call void @Py_IncRef(ptr %op)
  ret ptr %op

made:
  store ptr %next2, ptr %pc.p
  %parts = call fastcc ptr @build(ptr %pc.p, ptr %t)
  %no.parts = icmp eq ptr %parts, null
  br i1 %no.parts, label %none, label %made.of
made.of:
  store ptr %parts, ptr %arg
  %r.made = call ptr @PyObject_Vectorcall(ptr %op, ptr %arg, i64 1, ptr null)
  call void @Py_DecRef(ptr %parts)
  ret ptr %r.made

tuple:
  store ptr %next2, ptr %pc.p
  %r.tuple = call ptr @PyTuple_New(i64 %n)
  %no.tuple = icmp eq ptr %r.tuple, null
  %tuple.items = getelementptr i8, ptr %r.tuple, i64 {F["tuple"]}
  br i1 %no.tuple, label %none, label %items
list:
  store ptr %next2, ptr %pc.p
  %r.list = call ptr @PyList_New(i64 %n)
  %no.list = icmp eq ptr %r.list, null
  br i1 %no.list, label %none, label %list.made
list.made:
{at("list.items", "r.list", F["list"])}
  br label %items
items:
  %r.items = phi ptr [%r.tuple, %tuple], [%r.list, %list.made]
  %first = phi ptr [%tuple.items, %tuple], [%list.items, %list.made]
  br label %item.test
item.test:
  %k = phi i64 [0, %items], [%k1, %item.put]
  %items.left = icmp slt i64 %k, %n
  br i1 %items.left, label %item, label %items.done
item:
  %child = call fastcc ptr @build(ptr %pc.p, ptr %t)
  %k1 = add i64 %k, 1
  %no.child = icmp eq ptr %child, null
  br i1 %no.child, label %drop, label %item.put
item.put:
  %item.p = getelementptr ptr, ptr %first, i64 %k
  store ptr %child, ptr %item.p
  br label %item.test
items.done:
  ret ptr %r.items

dict:
  store ptr %next2, ptr %pc.p
  %r.dict = call ptr @PyDict_New()
  %no.dict = icmp eq ptr %r.dict, null
  br i1 %no.dict, label %none, label %dict.test
dict.test:
  %j = phi i64 [0, %dict], [%j1, %dict.put]
  %keys.left = icmp slt i64 %j, %n
  br i1 %keys.left, label %dict.item, label %dict.done
dict.item:
  %pc.j = load ptr, ptr %pc.p
  %key = load ptr, ptr %pc.j
  %pc.k = getelementptr i64, ptr %pc.j, i64 1
  store ptr %pc.k, ptr %pc.p
  %entry.value = call fastcc ptr @build(ptr %pc.p, ptr %t)
  %no.value = icmp eq ptr %entry.value, null
  br i1 %no.value, label %drop, label %dict.put
dict.put:
  %j1 = add i64 %j, 1
  %stored = call i32 @PyDict_SetItem(ptr %r.dict, ptr %key, ptr %entry.value)
  call void @Py_DecRef(ptr %entry.value)
  %bad = icmp ne i32 %stored, 0
  br i1 %bad, label %drop, label %dict.test
dict.done:
  ret ptr %r.dict

drop:
  %partial = phi ptr [%r.items, %item], [%r.dict, %dict.item], [%r.dict, %dict.put]
  call void @Py_DecRef(ptr %partial)
  ret ptr null
none:
  ret ptr null
}}

; `out=`: walk the caller's containers along the tree of outputs and collect (and hold) the arrays. `t` as in build; its fourth word
; becomes 1 if some leaf was left to us (None). Returns whether all fits.
define internal fastcc i1 @given(ptr %v, ptr %pc.p, ptr %t, ptr %block) nounwind {{
entry:
  %walk = alloca {{i64, ptr, ptr}}
  %pc = load ptr, ptr %pc.p
{word("kind", "pc", 0, "i64")}
{word("op", "pc", 1)}
{word("n", "pc", 1, "i64")}
{field("none")}
{at("type", "v", F["type"])}
  %next1 = getelementptr i64, ptr %pc, i64 1
  %next2 = getelementptr i64, ptr %pc, i64 2
  %left = icmp eq ptr %v, %none
  %ours.p = getelementptr i8, ptr %t, i64 24
  switch i64 %kind, label %leaf.one [
    i64 {CONST}, label %const
    i64 {TUPLE}, label %tuple
    i64 {LIST}, label %list
    i64 {DICT}, label %dict
  ]

leaf.one:
  store ptr %next1, ptr %pc.p
  %leaf = load ptr, ptr %t
  %leaf.next = getelementptr i64, ptr %leaf, i64 {LEAF_WORDS}
  store ptr %leaf.next, ptr %t
  %objs.p = getelementptr i8, ptr %t, i64 8
  %objs = load ptr, ptr %objs.p
  %objs.next = getelementptr ptr, ptr %objs, i64 1
  store ptr %objs.next, ptr %objs.p
  br i1 %left, label %ours, label %array
ours:
  store i64 1, ptr %ours.p
  ret i1 true
array:
{field("ndarray")}
  %is.array = icmp eq ptr %type, %ndarray
  br i1 %is.array, label %form, label %bad
form:
{at("descr", "v", F["descr"])}
{leaf("descr", "ptr", "want.descr")}
{at("flags", "v", F["flags"], "i32")}
{at("nd32", "v", F["nd"], "i32")}
  %nd = zext i32 %nd32 to i64
{leaf("nd", "i64", "want.nd")}
  %c0 = icmp eq ptr %descr, %want.descr
  %bits = and i32 %flags, {CONTIGUOUS | ALIGNED | WRITEABLE}
  %c1 = icmp eq i32 %bits, {CONTIGUOUS | ALIGNED | WRITEABLE}
  %c2 = icmp eq i64 %nd, %want.nd
  %c01 = and i1 %c0, %c1
  %c012 = and i1 %c01, %c2
  br i1 %c012, label %dims, label %bad
dims:
{at("have", "v", F["dims"])}
{leaf("dims", "ptr", "want.dims")}
  br label %dims.test
dims.test:
  %d = phi i64 [0, %dims], [%d1, %dims.next]
  %dims.left = icmp slt i64 %d, %nd
  br i1 %dims.left, label %dims.one, label %keep
dims.one:
  %p = getelementptr i64, ptr %have, i64 %d
  %x = load i64, ptr %p
  %q = getelementptr i64, ptr %want.dims, i64 %d
  %y = load i64, ptr %q
  %d1 = add i64 %d, 1
  %fits = icmp eq i64 %x, %y
  br i1 %fits, label %dims.next, label %bad
dims.next:
  br label %dims.test
keep:
  call void @Py_IncRef(ptr %v)
  store ptr %v, ptr %objs
  ret i1 true

const:
  store ptr %next2, ptr %pc.p
  %same = icmp eq ptr %v, %op
  %either = or i1 %same, %left
  ret i1 %either

tuple:
{field("tuple_type")}
  %tuple.typed = icmp eq ptr %type, %tuple_type
  %tuple.items = getelementptr i8, ptr %v, i64 {F["tuple"]}
  br i1 %tuple.typed, label %items, label %bad
list:
{field("list_type")}
  %list.typed = icmp eq ptr %type, %list_type
  br i1 %list.typed, label %list.items.get, label %bad
list.items.get:
{at("list.items", "v", F["list"])}
  br label %items
items:
  %first = phi ptr [%tuple.items, %tuple], [%list.items, %list.items.get]
  store ptr %next2, ptr %pc.p
{at("length", "v", F["size"], "i64")}
  %long = icmp eq i64 %length, %n
  br i1 %long, label %item.test, label %bad
item.test:
  %k = phi i64 [0, %items], [%k1, %item.next]
  %items.left = icmp slt i64 %k, %n
  br i1 %items.left, label %item, label %good
item:
  %item.p = getelementptr ptr, ptr %first, i64 %k
  %child = load ptr, ptr %item.p
  %child.good = call fastcc i1 @given(ptr %child, ptr %pc.p, ptr %t, ptr %block)
  %k1 = add i64 %k, 1
  br i1 %child.good, label %item.next, label %bad
item.next:
  br label %item.test

dict:
{field("dict_type")}
  %dict.typed = icmp eq ptr %type, %dict_type
  br i1 %dict.typed, label %dict.size, label %bad
dict.size:
  store ptr %next2, ptr %pc.p
{at("used", "v", F["dict_used"], "i64")}
  %full = icmp eq i64 %used, %n
  br i1 %full, label %dict.start, label %bad
dict.start:
  %key.p = getelementptr i8, ptr %walk, i64 8
  %value.p = getelementptr i8, ptr %walk, i64 16
  store i64 0, ptr %walk
  br label %dict.test
dict.test:
  %j = phi i64 [0, %dict.start], [%j1, %dict.next]
  %keys.left = icmp slt i64 %j, %n
  br i1 %keys.left, label %dict.item, label %good
dict.item:
  %there = call i32 @PyDict_Next(ptr %v, ptr %walk, ptr %key.p, ptr %value.p)
  %gone = icmp eq i32 %there, 0
  br i1 %gone, label %bad, label %dict.key
dict.key:
  %key = load ptr, ptr %key.p
  %pc.j = load ptr, ptr %pc.p
  %want.key = load ptr, ptr %pc.j
  %pc.k = getelementptr i64, ptr %pc.j, i64 1
  store ptr %pc.k, ptr %pc.p
  %key.same = call fastcc i1 @equal(ptr %key, ptr %want.key)
  br i1 %key.same, label %dict.value, label %bad
dict.value:
  %value = load ptr, ptr %value.p
  %value.good = call fastcc i1 @given(ptr %value, ptr %pc.p, ptr %t, ptr %block)
  %j1 = add i64 %j, 1
  br i1 %value.good, label %dict.next, label %bad
dict.next:
  br label %dict.test

good:
  ret i1 true
bad:
  ret i1 false
}}

; Whether [a, a + m) and [b, b + n) share a byte.
define internal i1 @meet(i64 %a, i64 %m, i64 %b, i64 %n) alwaysinline nounwind {{
  %a.end = add i64 %a, %m
  %b.end = add i64 %b, %n
  %c0 = icmp ult i64 %a, %b.end
  %c1 = icmp ult i64 %b, %a.end
  %empty0 = icmp eq i64 %m, 0
  %empty1 = icmp eq i64 %n, 0
  %empty = or i1 %empty0, %empty1
  %full = xor i1 %empty, true
  %c01 = and i1 %c0, %c1
  %r = and i1 %c01, %full
  ret i1 %r
}}

; Whether some array given by `out=` shares memory with an input or with another of them.
define internal fastcc i1 @overlap(ptr %block, ptr %ins, ptr %objs) nounwind {{
entry:
{field("n_ins", "i64")}
{field("n_outs", "i64")}
{field("leaves")}
{field("in_bytes")}
  br label %test
test:
  %j = phi i64 [0, %entry], [%j1, %next]
  %left = icmp slt i64 %j, %n_outs
  br i1 %left, label %one, label %apart
one:
  %j1 = add i64 %j, 1
  %obj.p = getelementptr ptr, ptr %objs, i64 %j
  %obj = load ptr, ptr %obj.p
  %ours = icmp eq ptr %obj, null
  br i1 %ours, label %next, label %theirs
theirs:
{at("data", "obj", F["data"], "i64")}
  %offset = mul i64 %j, {LEAF_WORDS}
  %leaf = getelementptr i64, ptr %leaves, i64 %offset
{leaf("nbytes", "i64")}
  br label %in.test
in.test:
  %i = phi i64 [0, %theirs], [%i1, %in.next]
  %ins.left = icmp slt i64 %i, %n_ins
  br i1 %ins.left, label %in.one, label %out.test
in.one:
  %i1 = add i64 %i, 1
  %in.p = getelementptr i64, ptr %ins, i64 %i
  %in = load i64, ptr %in.p
  %in.n.p = getelementptr i64, ptr %in_bytes, i64 %i
  %in.n = load i64, ptr %in.n.p
  %in.meets = call i1 @meet(i64 %data, i64 %nbytes, i64 %in, i64 %in.n)
  br i1 %in.meets, label %shared, label %in.next
in.next:
  br label %in.test
out.test:
  %k = phi i64 [%j1, %in.test], [%k1, %out.next]
  %outs.left = icmp slt i64 %k, %n_outs
  br i1 %outs.left, label %out.one, label %next
out.one:
  %k1 = add i64 %k, 1
  %obj2.p = getelementptr ptr, ptr %objs, i64 %k
  %obj2 = load ptr, ptr %obj2.p
  %ours2 = icmp eq ptr %obj2, null
  br i1 %ours2, label %out.next, label %out.compare
out.compare:
{at("data2", "obj2", F["data"], "i64")}
  %offset2 = mul i64 %k, {LEAF_WORDS}
  %leaf2 = getelementptr i64, ptr %leaves, i64 %offset2
{at("nbytes2", "leaf2", 8 * LEAF_FIELDS.index("nbytes"), "i64")}
  %out.meets = call i1 @meet(i64 %data, i64 %nbytes, i64 %data2, i64 %nbytes2)
  br i1 %out.meets, label %shared, label %out.next
out.next:
  br label %out.test
next:
  br label %test
shared:
  ret i1 true
apart:
  ret i1 false
}}

; Drop the references in [from, to), some of which may be null.
define internal fastcc void @drop(ptr %from, ptr %to) nounwind {{
entry:
  br label %test
test:
  %p = phi ptr [%from, %entry], [%p1, %next]
  %left = icmp ult ptr %p, %to
  br i1 %left, label %one, label %done
one:
  %p1 = getelementptr ptr, ptr %p, i64 1
  %x = load ptr, ptr %p
  %none = icmp eq ptr %x, null
  br i1 %none, label %next, label %some
some:
  store ptr null, ptr %p
  call void @Py_DecRef(ptr %x)
  br label %next
next:
  br label %test
done:
  ret void
}}
"""

# A workspace is 64-byte aligned; the word before it says where its memory begins.
WORKSPACE = f"""
define internal fastcc ptr @ws.new(i64 %size) nounwind {{
  %more = add i64 %size, 72
  %raw = call ptr @PyMem_RawCalloc(i64 1, i64 %more)
  %none = icmp eq ptr %raw, null
  br i1 %none, label %failed, label %align
align:
  %address = ptrtoint ptr %raw to i64
  %up = add i64 %address, 71
  %rounded = and i64 %up, -64
  %offset = sub i64 %rounded, %address
  %ws = getelementptr i8, ptr %raw, i64 %offset
  %before = getelementptr i8, ptr %ws, i64 -8
  store ptr %raw, ptr %before
  ret ptr %ws
failed:
  ret ptr null
}}

define internal fastcc void @ws.drop(ptr %block, ptr %ws) nounwind {{
{field("ws_free")}
  %plain = icmp eq ptr %ws_free, null
  br i1 %plain, label %own, label %theirs
theirs:
  call void %ws_free(ptr %ws)
  br label %own
own:
  %before = getelementptr i8, ptr %ws, i64 -8
  %raw = load ptr, ptr %before
  call void @PyMem_RawFree(ptr %raw)
  ret void
}}

; Give back what a block keeps between calls: arrays and the workspace. Calls may follow.
define void @destroy(ptr %block) nounwind {{
entry:
{field("ws")}
  store ptr null, ptr %ws.p
  %none = icmp eq ptr %ws, null
  br i1 %none, label %arrays, label %free
free:
  call fastcc void @ws.drop(ptr %block, ptr %ws)
  br label %arrays
arrays:
{field("n_outs", "i64")}
{field("leaves")}
  br label %test
test:
  %j = phi i64 [0, %arrays], [%j1, %one]
  %left = icmp slt i64 %j, %n_outs
  br i1 %left, label %one, label %done
one:
  %j1 = add i64 %j, 1
  %offset = mul i64 %j, {LEAF_WORDS}
  %leaf = getelementptr i64, ptr %leaves, i64 %offset
  %from = getelementptr i8, ptr %leaf, i64 {8 * LEAF_FIELDS.index("spare")}
  %to = getelementptr i8, ptr %from, i64 16
  call fastcc void @drop(ptr %from, ptr %to)
  br label %test
done:
  ret void
}}
"""
