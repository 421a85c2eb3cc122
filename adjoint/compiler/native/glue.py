"""The glue between CPython and kernels, as LLVM IR text: one vectorcall function that serves every kernel.

`call` is the C function behind each builtin of call.py. It reads a *block* of words that call.py has written for its kernel: what
to expect of the arguments, what to make of the results. So it is compiled once, and a new kernel costs no further compilation.
It uses the public C API; the few fields it reads directly (FIELDS) are checked by call.py before it is used.

An expected argument is a little program in pre-order, read by `check`: a kind, then its operands, in words.

    ARRAY    ndarray, descr, nd, d0, d1...     exact type, this very dtype object, C-contiguous, aligned, this shape
    SCALAR   type                              exact type; the value lies behind the object's header
    INT      int                               a Python int that fits 64 bits
    BOOL     bool                              True or False
    SAME     object                            this very object
    EQUAL    object                            same type and equal (str, int, bytes: comparing runs no code of a user's)
    TUPLE    tuple, n, children                exact type and length; the type may be a named tuple's
    LIST     list, n, children
    DICT     dict, n, (key, child)...          exact type, these keys in this order
    RECORD   class, n, (name, child)...        exact type; what its attributes hold is held during the call

A hidden input or guard is a source (GLOBAL, CELL, ATTR, ITEM, REF), two operands, and a program; or ABSENT, three operands: a
dictionary must not have that name. An output is a tree (LEAF, CONST, TUPLE, LIST, DICT, MADE: what a callable makes of a tuple) over a
table of leaves, LEAF_WORDS each.
"""

ARRAY, SCALAR, INT, BOOL, SAME, EQUAL, TUPLE, LIST, DICT = range(9)
GLOBAL, CELL, ATTR, ITEM, REF, ABSENT = range(6)
LEAF, CONST = 9, 10  # and TUPLE, LIST, DICT
RECORD, MADE = 11, 12
OUT_ARRAY, OUT_FLOAT, OUT_INT, OUT_BOOL, OUT_COMPLEX, OUT_NUMPY = range(
    6
)  # OUT_BOOL: one of two objects, Python's or NumPy's

# the block, one word each; `*` marks tables elsewhere in the block
BLOCK = [
    "kernel", "fallback", "on_error", "n_args", "n_kw", "kw", "args", "n_hidden", "hidden", "first_hidden", "n_ins", "n_outs",
    "leaves", "tree", "out_name", "ws_size", "ws", "ws_free", "release_gil", "n_holds", "in_bytes", "scratch", "error",
    "message", "exception", "none", "ndarray", "tuple_type", "list_type", "dict_type", "pooling",
]  # fmt: skip
# a leaf of the output: descr is the dtype's; type that of a NumPy scalar, or False and `other` True
LEAF_FIELDS = ["kind", "type", "other", "descr", "nbytes", "flags", "spare", "older", "nd", "dims"]
LEAF_WORDS = len(LEAF_FIELDS)

# where fields lie behind an object's address; every one is checked against ctypes before the glue is used
FIELDS = {
    "type": 8, "size": 16, "float": 16, "tuple": 24, "list": 24, "cell": 16, "dict_used": 16, "scalar": 16,
    "data": 16, "nd": 24, "dims": 32, "descr": 56, "flags": 64, "weakrefs": 72, "capsule": 16,
}  # fmt: skip
# of a type; instances.py checks them
TYPE_FIELDS = {"size": 32, "item": 40, "vectorcall": 56, "flags": 168, "dict": 288}

CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x100, 0x400
STACK = 2048  # bytes of scratch on the C stack; more comes from the heap

C_API = {
    "Py_IncRef": "void (ptr)", "Py_DecRef": "void (ptr)", "PyErr_Clear": "void ()", "PyErr_Occurred": "ptr ()",
    "PyErr_ExceptionMatches": "i32 (ptr)",
    "PyErr_NoMemory": "ptr ()", "PyErr_SetString": "void (ptr, ptr)", "PyErr_CheckSignals": "i32 ()",
    "PyObject_Vectorcall": "ptr (ptr, ptr, i64, ptr)", "PyObject_RichCompareBool": "i32 (ptr, ptr, i32)",
    "PyUnicode_Compare": "i32 (ptr, ptr)", "PyLong_AsLongLong": "i64 (ptr)", "PyLong_FromLongLong": "ptr (i64)",
    "PyFloat_FromDouble": "ptr (double)", "PyComplex_FromDoubles": "ptr (double, double)", "_PyObject_New": "ptr (ptr)",
    "PyTuple_New": "ptr (i64)", "PyList_New": "ptr (i64)", "PyDict_New": "ptr ()", "PyDict_SetItem": "i32 (ptr, ptr, ptr)",
    "PyDict_Next": "i32 (ptr, ptr, ptr, ptr)", "PyDict_GetItemWithError": "ptr (ptr, ptr)", "PyObject_GetAttr": "ptr (ptr, ptr)",
    "PyObject_GetItem": "ptr (ptr, ptr)", "PyEval_SaveThread": "ptr ()", "PyEval_RestoreThread": "void (ptr)",
    "PyMem_RawMalloc": "ptr (i64)", "PyMem_RawCalloc": "ptr (i64, i64)", "PyMem_RawFree": "void (ptr)",
    "PyMem_RawRealloc": "ptr (ptr, i64)", "PyGILState_Ensure": "i32 ()", "PyGILState_Release": "void (i32)",
    "PyArray_Empty": "ptr (i32, ptr, ptr, i32)",
}  # fmt: skip


def at(name, base, offset, type="ptr"):
    """Load the field `offset` bytes behind `base` into %name."""
    return f"  %{name}.p = getelementptr i8, ptr %{base}, i64 {offset}\n  %{name} = load {type}, ptr %{name}.p"


def word(name, pc, index, type="ptr"):
    return at(name, pc, 8 * index, type)


def field(name, type="ptr", as_=None):
    return at(as_ or name, "block", 8 * BLOCK.index(name), type)


def leaf(name, type="ptr", as_=None):
    return at(as_ or name, "leaf", 8 * LEAF_FIELDS.index(name), type)


F = FIELDS

# How an argument is tested. Returns the end of its program, or null. `s` has three cursors: pointers to data, room for integers,
# objects held during the call (those that somebody else could take out of a list or a dict meanwhile).
CHECK = f"""
define internal fastcc ptr @check(ptr %v, ptr %pc, ptr %s, i1 %hold) nounwind {{
entry:
  %walk = alloca {{i64, ptr, ptr}}
{word("kind", "pc", 0, "i64")}
{word("op", "pc", 1)}
{at("type", "v", F["type"])}
  %typed = icmp eq ptr %type, %op
  %next2 = getelementptr i64, ptr %pc, i64 2
  %next3 = getelementptr i64, ptr %pc, i64 3
  %ints.p = getelementptr i8, ptr %s, i64 8
  switch i64 %kind, label %bad [
    i64 {ARRAY}, label %array
    i64 {SCALAR}, label %scalar
    i64 {INT}, label %int
    i64 {BOOL}, label %bool
    i64 {SAME}, label %same
    i64 {EQUAL}, label %equal
    i64 {TUPLE}, label %tuple
    i64 {LIST}, label %list
    i64 {DICT}, label %dict
    i64 {RECORD}, label %record
  ]

array:
  br i1 %typed, label %array.typed, label %bad
array.typed:
{word("want.descr", "pc", 2)}
{word("want.nd", "pc", 3, "i64")}
{at("descr", "v", F["descr"])}
{at("flags", "v", F["flags"], "i32")}
{at("nd32", "v", F["nd"], "i32")}
  %nd = zext i32 %nd32 to i64
  %c1 = icmp eq ptr %descr, %want.descr
  %c2 = icmp eq i64 %nd, %want.nd
  %bits = and i32 %flags, {CONTIGUOUS | ALIGNED}
  %c3 = icmp eq i32 %bits, {CONTIGUOUS | ALIGNED}
  %c12 = and i1 %c1, %c2
  %c123 = and i1 %c12, %c3
  br i1 %c123, label %dims, label %bad
dims:
{at("dims.v", "v", F["dims"])}
  %want.dims = getelementptr i64, ptr %pc, i64 4
  br label %dims.test
dims.test:
  %k = phi i64 [0, %dims], [%k1, %dims.next]
  %more = icmp slt i64 %k, %nd
  br i1 %more, label %dims.one, label %array.good
dims.one:
  %have.p = getelementptr i64, ptr %dims.v, i64 %k
  %have = load i64, ptr %have.p
  %want.p = getelementptr i64, ptr %want.dims, i64 %k
  %want = load i64, ptr %want.p
  %k1 = add i64 %k, 1
  %fits = icmp eq i64 %have, %want
  br i1 %fits, label %dims.next, label %bad
dims.next:
  br label %dims.test
array.good:
{at("data", "v", F["data"])}
  %next.array = getelementptr i64, ptr %want.dims, i64 %nd
  br label %give

scalar:
  %behind = getelementptr i8, ptr %v, i64 {F["scalar"]}
  br i1 %typed, label %give, label %bad

give:
  %given = phi ptr [%data, %array.good], [%behind, %scalar]
  %next.given = phi ptr [%next.array, %array.good], [%next2, %scalar]
  %cursor = load ptr, ptr %s
  store ptr %given, ptr %cursor
  %cursor1 = getelementptr ptr, ptr %cursor, i64 1
  store ptr %cursor1, ptr %s
  br i1 %hold, label %held, label %free
held:
  call void @Py_IncRef(ptr %v)
  %holds.p = getelementptr i8, ptr %s, i64 16
  %holds = load ptr, ptr %holds.p
  store ptr %v, ptr %holds
  %holds1 = getelementptr ptr, ptr %holds, i64 1
  store ptr %holds1, ptr %holds.p
  ret ptr %next.given
free:
  ret ptr %next.given

int:
  br i1 %typed, label %int.typed, label %bad
int.typed:
  %n = call i64 @PyLong_AsLongLong(ptr %v)
  %minus = icmp eq i64 %n, -1
  br i1 %minus, label %int.minus, label %int.good
int.minus:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %int.good, label %clear

bool:
  br i1 %typed, label %bool.typed, label %bad
bool.typed:
{word("true", "pc", 2)}
  %is = icmp eq ptr %v, %true
  %as.int = zext i1 %is to i64
  br label %int.good

int.good:
  %number = phi i64 [%n, %int.typed], [%n, %int.minus], [%as.int, %bool.typed]
  %next.number = phi ptr [%next2, %int.typed], [%next2, %int.minus], [%next3, %bool.typed]
  %room = load ptr, ptr %ints.p
  store i64 %number, ptr %room
  %room1 = getelementptr i64, ptr %room, i64 1
  store ptr %room1, ptr %ints.p
  %cursor2 = load ptr, ptr %s
  store ptr %room, ptr %cursor2
  %cursor3 = getelementptr ptr, ptr %cursor2, i64 1
  store ptr %cursor3, ptr %s
  ret ptr %next.number

same:
  %identical = icmp eq ptr %v, %op
  br i1 %identical, label %good2, label %bad
good2:
  ret ptr %next2
equal:
  %e = call fastcc i1 @equal(ptr %v, ptr %op)
  br i1 %e, label %good2, label %bad

tuple:
  %tuple.items = getelementptr i8, ptr %v, i64 {F["tuple"]}
  br i1 %typed, label %items, label %bad
list:
  br i1 %typed, label %list.typed, label %bad
list.typed:
{at("list.items", "v", F["list"])}
  br label %items
items:
  %first = phi ptr [%tuple.items, %tuple], [%list.items, %list.typed]
  %hold.items = phi i1 [%hold, %tuple], [true, %list.typed]
{at("length", "v", F["size"], "i64")}
{word("want.length", "pc", 2, "i64")}
  %long = icmp eq i64 %length, %want.length
  br i1 %long, label %item.test, label %bad
item.test:
  %i = phi i64 [0, %items], [%i1, %item.next]
  %pc.i = phi ptr [%next3, %items], [%pc.next, %item.next]
  %items.left = icmp slt i64 %i, %length
  br i1 %items.left, label %item, label %items.good
item:
  %item.p = getelementptr ptr, ptr %first, i64 %i
  %child = load ptr, ptr %item.p
  %pc.next = call fastcc ptr @check(ptr %child, ptr %pc.i, ptr %s, i1 %hold.items)
  %i1 = add i64 %i, 1
  %item.bad = icmp eq ptr %pc.next, null
  br i1 %item.bad, label %bad, label %item.next
item.next:
  br label %item.test
items.good:
  ret ptr %pc.i

dict:
  br i1 %typed, label %dict.typed, label %bad
dict.typed:
{at("used", "v", F["dict_used"], "i64")}
{word("want.used", "pc", 2, "i64")}
  %full = icmp eq i64 %used, %want.used
  br i1 %full, label %dict.start, label %bad
dict.start:
  %key.p = getelementptr i8, ptr %walk, i64 8
  %value.p = getelementptr i8, ptr %walk, i64 16
  store i64 0, ptr %walk
  br label %dict.test
dict.test:
  %j = phi i64 [0, %dict.start], [%j1, %dict.next]
  %pc.j = phi ptr [%next3, %dict.start], [%pc.value, %dict.next]
  %keys.left = icmp slt i64 %j, %used
  br i1 %keys.left, label %dict.item, label %dict.good
dict.item:
  %there = call i32 @PyDict_Next(ptr %v, ptr %walk, ptr %key.p, ptr %value.p)
  %none = icmp eq i32 %there, 0
  br i1 %none, label %bad, label %dict.key
dict.key:
  %key = load ptr, ptr %key.p
  %want.key = load ptr, ptr %pc.j
  %key.same = icmp eq ptr %key, %want.key
  br i1 %key.same, label %dict.value, label %dict.compare
dict.compare:
  %key.equal = call fastcc i1 @equal(ptr %key, ptr %want.key)
  br i1 %key.equal, label %dict.value, label %bad
dict.value:
  %value = load ptr, ptr %value.p
  %pc.k = getelementptr i64, ptr %pc.j, i64 1
  %pc.value = call fastcc ptr @check(ptr %value, ptr %pc.k, ptr %s, i1 true)
  %j1 = add i64 %j, 1
  %value.bad = icmp eq ptr %pc.value, null
  br i1 %value.bad, label %bad, label %dict.next
dict.next:
  br label %dict.test
dict.good:
  ret ptr %pc.j

record:
  br i1 %typed, label %record.typed, label %bad
record.typed:
{word("fields", "pc", 2, "i64")}
  %kept.p = getelementptr i8, ptr %s, i64 16
  br label %field.test
field.test:
  %f = phi i64 [0, %record.typed], [%f1, %field.next]
  %pc.f = phi ptr [%next3, %record.typed], [%pc.field, %field.next]
  %fields.left = icmp slt i64 %f, %fields
  br i1 %fields.left, label %field, label %record.good
field:
  %name = load ptr, ptr %pc.f
  %attr = call ptr @PyObject_GetAttr(ptr %v, ptr %name)
  %no.attr = icmp eq ptr %attr, null
  br i1 %no.attr, label %clear, label %field.held
field.held:
  %kept = load ptr, ptr %kept.p
  store ptr %attr, ptr %kept
  %kept1 = getelementptr ptr, ptr %kept, i64 1
  store ptr %kept1, ptr %kept.p
  %pc.f1 = getelementptr i64, ptr %pc.f, i64 1
  %pc.field = call fastcc ptr @check(ptr %attr, ptr %pc.f1, ptr %s, i1 false)
  %f1 = add i64 %f, 1
  %field.bad = icmp eq ptr %pc.field, null
  br i1 %field.bad, label %bad, label %field.next
field.next:
  br label %field.test
record.good:
  ret ptr %pc.f

clear:
  call void @PyErr_Clear()
  ret ptr null
bad:
  ret ptr null
}}

; Equal, and of the same type, which is one of those whose comparison runs no Python code (call.py sees to it).
define internal fastcc i1 @equal(ptr %v, ptr %w) nounwind {{
  %identical = icmp eq ptr %v, %w
  br i1 %identical, label %yes, label %other
other:
{at("t", "v", F["type"])}
{at("u", "w", F["type"])}
  %typed = icmp eq ptr %t, %u
  br i1 %typed, label %compare, label %no
compare:
  %known.1 = getelementptr i8, ptr @comparable, i64 8
  %known.2 = getelementptr i8, ptr @comparable, i64 16
  %t0 = load ptr, ptr @comparable
  %t1 = load ptr, ptr %known.1
  %t2 = load ptr, ptr %known.2
  %k0 = icmp eq ptr %t, %t0
  %k1 = icmp eq ptr %t, %t1
  %k2 = icmp eq ptr %t, %t2
  %k01 = or i1 %k0, %k1
  %k012 = or i1 %k01, %k2
  br i1 %k012, label %rich, label %no
rich:
  %r = call i32 @PyObject_RichCompareBool(ptr %v, ptr %w, i32 2)
  %e = icmp eq i32 %r, 1
  br i1 %e, label %yes, label %failed
failed:
  %raised = icmp slt i32 %r, 0
  br i1 %raised, label %clear, label %no
clear:
  call void @PyErr_Clear()
  ret i1 false
yes:
  ret i1 true
no:
  ret i1 false
}}
"""

# Hidden inputs and guards: fetched by the C API, then tested like an argument. What is fetched is held until the call is over.
# Returns 0 if all fit, 1 if not, 2 if the look-up raised what no fallback should hide (Ctrl-C), which is left set.
HIDDEN = f"""
define internal fastcc i32 @hidden(ptr %block, ptr %s) nounwind {{
entry:
{field("n_hidden", "i64")}
{field("hidden")}
  %holds.p = getelementptr i8, ptr %s, i64 16
  br label %test
test:
  %i = phi i64 [0, %entry], [%i1, %next]
  %pc = phi ptr [%hidden, %entry], [%pc.next, %next]
  %left = icmp slt i64 %i, %n_hidden
  br i1 %left, label %one, label %good
one:
{word("source", "pc", 0, "i64")}
{word("a", "pc", 1)}
{word("b", "pc", 2)}
  %program = getelementptr i64, ptr %pc, i64 3
  %i1 = add i64 %i, 1
  switch i64 %source, label %bad [
    i64 {GLOBAL}, label %global
    i64 {CELL}, label %cell
    i64 {ATTR}, label %attr
    i64 {ITEM}, label %item
    i64 {REF}, label %ref
    i64 {ABSENT}, label %absent
  ]
global:
  %value.global = call ptr @PyDict_GetItemWithError(ptr %a, ptr %b)
  %no.global = icmp eq ptr %value.global, null
  br i1 %no.global, label %missing, label %borrowed
missing:
  %missing.error = call ptr @PyErr_Occurred()
  %missing.fine = icmp eq ptr %missing.error, null
  br i1 %missing.fine, label %bad, label %clear
cell:
{at("value.cell", "a", F["cell"])}
  %no.cell = icmp eq ptr %value.cell, null
  br i1 %no.cell, label %bad, label %borrowed
ref:
  br label %borrowed
borrowed:
  %value.borrowed = phi ptr [%value.global, %global], [%value.cell, %cell], [%a, %ref]
  call void @Py_IncRef(ptr %value.borrowed)
  br label %owned
attr:
  %value.attr = call ptr @PyObject_GetAttr(ptr %a, ptr %b)
  %no.attr = icmp eq ptr %value.attr, null
  br i1 %no.attr, label %clear, label %owned
item:
  %value.item = call ptr @PyObject_GetItem(ptr %a, ptr %b)
  %no.item = icmp eq ptr %value.item, null
  br i1 %no.item, label %clear, label %owned
owned:
  %value = phi ptr [%value.borrowed, %borrowed], [%value.attr, %attr], [%value.item, %item]
  %holds = load ptr, ptr %holds.p
  store ptr %value, ptr %holds
  %holds1 = getelementptr ptr, ptr %holds, i64 1
  store ptr %holds1, ptr %holds.p
  %pc.checked = call fastcc ptr @check(ptr %value, ptr %program, ptr %s, i1 false)
  %unfit = icmp eq ptr %pc.checked, null
  br i1 %unfit, label %bad, label %next
absent:
  %present = call ptr @PyDict_GetItemWithError(ptr %a, ptr %b)
  %free = icmp eq ptr %present, null
  br i1 %free, label %absent.error, label %bad
absent.error:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %next, label %clear
next:
  %pc.next = phi ptr [%pc.checked, %owned], [%program, %absent.error]
  br label %test
good:
  ret i32 0
clear:
{field("exception")}
  %usual = call i32 @PyErr_ExceptionMatches(ptr %exception)
  %grave = icmp eq i32 %usual, 0
  br i1 %grave, label %raise, label %forget
raise:
  ret i32 2
forget:
  call void @PyErr_Clear()
  ret i32 1
bad:
  ret i32 1
}}

; Where `name` stands among the keywords of a call, or -1. Names are interned as a rule, so the first loop finds them.
define internal fastcc i64 @keyword(ptr %kwnames, i64 %n, ptr %name) nounwind {{
entry:
  %first = getelementptr i8, ptr %kwnames, i64 {F["tuple"]}
  br label %same.test
same.test:
  %i = phi i64 [0, %entry], [%i1, %same.next]
  %same.left = icmp slt i64 %i, %n
  br i1 %same.left, label %same.one, label %equal.test
same.one:
  %p = getelementptr ptr, ptr %first, i64 %i
  %key = load ptr, ptr %p
  %same = icmp eq ptr %key, %name
  br i1 %same, label %found.same, label %same.next
same.next:
  %i1 = add i64 %i, 1
  br label %same.test
found.same:
  ret i64 %i
equal.test:
  %j = phi i64 [0, %same.test], [%j1, %equal.next]
  %equal.left = icmp slt i64 %j, %n
  br i1 %equal.left, label %equal.one, label %missing
equal.one:
  %q = getelementptr ptr, ptr %first, i64 %j
  %key2 = load ptr, ptr %q
  %order = call i32 @PyUnicode_Compare(ptr %key2, ptr %name)
  %equal = icmp eq i32 %order, 0
  br i1 %equal, label %found.equal, label %equal.next
equal.next:
  %j1 = add i64 %j, 1
  br label %equal.test
found.equal:
  ret i64 %j
missing:
  ret i64 -1
}}
"""
