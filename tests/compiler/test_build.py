"""IR text to machine code, and object code on disk: what is refused, what is shared, what is never trusted."""

import contextvars
import ctypes
import gc
import os
import stat
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("llvmlite")

import adjoint as ad
from adjoint.compiler.native import build, cache

from .calling import Module, load

ADD = """
define i32 @kernel(i32 %a) {{
  %b = add i32 %a, {0}
  ret i32 %b
}}
"""


@pytest.fixture
def folder(tmp_path):
    """A cache of the test's own."""
    where = tmp_path / "code"
    with ad.config(cache=str(where)):
        yield where


@pytest.fixture
def compilations(monkeypatch):
    """The IR texts that were compiled, not taken from the cache."""
    texts = []

    def compile_object(text, *more, _real=build.compile_object):
        texts.append(text)
        return _real(text, *more)

    monkeypatch.setattr(build, "compile_object", compile_object)
    return texts


def run(loaded, *args):
    return ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_int] * len(args))(loaded.address("kernel"))(*args)


def entries(folder):
    return sorted(folder.glob("*.obj"))


def test_host():
    host = build.host()
    assert host.cpu and host.triple and host.layout and host.width_bits in (128, 256, 512)
    assert isinstance(host.fma, bool) and "LLVM" in host.version
    assert build.host() is host


def test_assemble_puts_everything_into_one_module():
    module = Module(
        {"two": "define i32 @two() {\n  ret i32 2\n}"},
        {"two": "declare i32 @two()", "abs": "declare i32 @llvm.abs.i32(i32, i1)"},
    )
    kernel = """define i32 @kernel(i32 %a) {
  %t = call i32 @two()
  %n = call i32 @llvm.abs.i32(i32 %a, i1 false)
  %r = add i32 %t, %n
  ret i32 %r
}"""
    text = build.assemble(module, kernel)
    assert text.count("@two()") == 2  # defined and called; no longer declared
    assert build.host().triple in text
    assert run(build.load(text), -5) == 7


def test_external_functions_and_words_are_defined_when_linked(folder):
    text = """
declare i32 @twice(i32)
@word = external global i8
define i32 @kernel(i32 %a) {
  %b = call i32 @twice(i32 %a)
  %w = ptrtoint ptr @word to i64
  %w32 = trunc i64 %w to i32
  %r = add i32 %b, %w32
  ret i32 %r
}"""
    twice = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: 2 * n)
    for word in (7, 2**40 + 9):
        loaded = load(text, {"twice": ctypes.cast(twice, ctypes.c_void_p).value, "word": word})
        assert run(loaded, 10) == 20 + word % 2**32
    assert len(entries(folder)) == 1  # the same object code, linked twice


def test_variables_have_addresses():
    loaded = load(
        '@"odd name" = global i32 5\n@hidden = internal global i32 1\ndefine internal void @f() { ret void }\ndefine void @g() { ret void }'
    )
    assert ctypes.c_int.from_address(loaded.address("odd name")).value == 5
    assert loaded.address("g")
    for name in ("hidden", "f", "nothing"):
        with pytest.raises(KeyError):
            loaded.address(name)


def test_text_that_cannot_be_read_is_shown():
    with pytest.raises(build.CodeError) as caught:
        load("define i32 @kernel(i32 %a) {\n  %x = add i32 %a, 1\n  %b = add i32 %nowhere, 1\n  ret i32 %b\n}")
    message = str(caught.value)
    assert "undefined value '%nowhere'" in message and "fault of adjoint's compiler" in message
    marked = [line for line in message.splitlines() if line.startswith(">")]
    assert len(marked) == 1 and "%b = add i32 %nowhere, 1" in marked[0]
    assert "%x = add i32 %a, 1" in message


def test_text_that_the_verifier_refuses_is_shown():
    with pytest.raises(build.CodeError) as caught:
        load(
            "define i32 @kernel(i32 %a) {\n  br label %z\nz:\n  %x = add i32 %y, 1\n  %y = add i32 %a, 1\n  ret i32 %x\n}"
        )
    message = str(caught.value)
    assert "dominate" in message
    assert [line.split(None, 2)[2] for line in message.splitlines() if line.startswith(">")] == [
        "%x = add i32 %y, 1",
        "%y = add i32 %a, 1",
    ]


def test_a_missing_symbol_is_named(folder, capfd):
    with pytest.raises(build.CodeError, match="no_such_function"):
        load(
            "declare i32 @no_such_function()\ndefine i32 @kernel() {\n  %x = call i32 @no_such_function()\n  ret i32 %x\n}"
        )
    assert entries(folder) == []  # what cannot be linked is not kept
    assert capfd.readouterr().err == ""


def test_functions_of_the_c_library_are_found():
    loaded = load("""
declare double @fmod(double, double)
define double @kernel(double %a, double %b) {
  %r = call double @fmod(double %a, double %b)
  ret double %r
}""")
    assert (
        ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)(loaded.address("kernel"))(7.5, 2.0) == 1.5
    )


def test_debug_level_7_prints_the_code(capsys):
    with ad.config(debug=7):
        load(ADD.format(123457))
    assert "add i32 %a, 123457" in capsys.readouterr().err
    load(ADD.format(123457))
    assert capsys.readouterr().err == ""


def test_the_pipeline_optimizes():
    """What emission leaves to LLVM: inlining, registers for slots, common subexpressions, loop invariants."""
    text = build.assemble(
        Module(),
        """
define internal double @square(double %x) alwaysinline {
  %y = fmul double %x, %x
  ret double %y
}
define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {
entry:
  %slot = alloca double
  store double 0.0, ptr %slot
  %a = load double, ptr %ins
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%i1, %loop]
  %u = call double @square(double %a)
  %v = fmul double %a, %a
  %w = fadd double %u, %v
  %p = getelementptr double, ptr %outs, i64 %i
  %x = load double, ptr %p
  %t = fmul double %w, %x
  store double %t, ptr %p
  %s = load double, ptr %slot
  %s1 = fadd double %s, %t
  store double %s1, ptr %slot
  %i1 = add i64 %i, 1
  %c = icmp slt i64 %i1, 1000
  br i1 %c, label %loop, label %done
done:
  %r = load double, ptr %slot
  store double %r, ptr %ws
  ret i32 0
}""",
    )
    optimized = build.optimized(text)
    body = optimized[optimized.index("loop:") : optimized.index("done:")]
    assert "alloca" not in optimized and "call" not in body
    assert "%a, %a" not in body


def test_code_is_unloaded_with_the_last_reference():
    loaded = load(ADD.format(3))
    number = int(loaded.handle)
    assert number in build._live
    del loaded
    gc.collect()
    assert number not in build._live


def test_engines_are_replaced_when_full(monkeypatch):
    monkeypatch.setattr(build, "LIBRARIES_PER_ENGINE", 3)
    some = [load(ADD.format(k)) for k in range(10)]
    assert [run(loaded, 1) for loaded in some] == [k + 1 for k in range(10)]
    del some[::2]
    gc.collect()
    assert [run(loaded, 1) for loaded in some] == [2, 4, 6, 8, 10]


# --- on disk ---


def test_the_second_process_need_not_compile(folder, compilations):
    assert run(load(ADD.format(11)), 1) == 12
    assert run(load(ADD.format(11)), 1) == 12
    assert len(compilations) == 1 and len(entries(folder)) == 1
    program = (
        "import sys; from adjoint.compiler.native import build, cache\n"
        "def refuse(*a): raise SystemExit('compiled')\n"
        "build.compile_object = refuse\n"
        "import ctypes; loaded = build.load(sys.stdin.read())\n"
        "print(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(loaded.address('kernel'))(30))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=compilations[0],
        env={**os.environ, "ADJOINT_CACHE": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip() == "41", result.stderr


def test_the_key_depends_on_everything(folder, compilations, monkeypatch):
    text = ADD.format(5)
    load(text)
    build.load(build.assemble(Module(), text), key_extra="other")
    build.load(build.assemble(Module(), text), effort=(0, 0))
    for change in ({"cpu": "other"}, {"features": "+other"}, {"version": "0.1"}):
        host = build.host()._replace(**change)
        with monkeypatch.context() as m:
            m.setattr(build, "host", lambda host=host: host)
            load(text)
    with monkeypatch.context() as m:
        m.setattr(ad, "__version__", "99")
        load(text)
    assert len(compilations) == 7 == len(entries(folder))
    load(text)
    assert len(compilations) == 7
    assert cache.key("a", "bc") != cache.key("ab", "c")


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d[: len(d) // 2], lambda d: d[:10], lambda d: b"", lambda d: d[:-1], lambda d: d + b"x",
        lambda d: d[:-20] + bytes([d[-20] ^ 1]) + d[-19:], lambda d: b"other object 9" + d[14:],
        lambda d: d[:20] + bytes([d[20] ^ 1]) + d[21:], lambda d: d[:30] + bytes([d[30] ^ 1]) + d[31:],
    ],
)  # fmt: skip
def test_a_damaged_entry_is_not_run_but_written_anew(folder, compilations, damage):
    load(ADD.format(21))
    (entry,) = entries(folder)
    good = entry.read_bytes()
    assert damage(good) != good
    entry.write_bytes(damage(good))
    assert run(load(ADD.format(21)), 1) == 22
    assert len(compilations) == 2
    assert entry.read_bytes()[:16] == good[:16] and len(entry.read_bytes()) == len(good)
    assert run(load(ADD.format(21)), 1) == 22 and len(compilations) == 2


def test_an_entry_under_another_name_is_not_taken(folder, compilations):
    load(ADD.format(31))
    (first,) = entries(folder)
    load(ADD.format(32))
    (second,) = set(entries(folder)) - {first}
    second.write_bytes(first.read_bytes())
    assert run(load(ADD.format(32)), 1) == 33 and len(compilations) == 3


posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and permissions as on POSIX")


@posix
def test_folder_and_entries_are_private(folder):
    load(ADD.format(41))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(e.stat().st_mode) for e in entries(folder)] == [0o600]


@posix
def test_what_others_may_write_is_not_trusted(folder, compilations):
    load(ADD.format(51))
    (entry,) = entries(folder)
    entry.chmod(0o666)
    assert run(load(ADD.format(51)), 1) == 52 and len(compilations) == 2
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600  # replaced
    folder.chmod(0o777)
    load(ADD.format(52))
    assert len(entries(folder)) == 1  # nothing is put into a folder that others may write to


@posix
def test_what_belongs_to_somebody_else_is_not_trusted(folder, compilations, monkeypatch):
    load(ADD.format(61))
    real = os.geteuid()
    with monkeypatch.context() as m:
        m.setattr(os, "geteuid", lambda: real + 1)
        assert run(load(ADD.format(61)), 1) == 62
        load(ADD.format(62))
    assert len(compilations) == 3 and len(entries(folder)) == 1


@posix
def test_a_symbolic_link_is_not_followed(folder, compilations, tmp_path):
    load(ADD.format(71))
    (entry,) = entries(folder)
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert run(load(ADD.format(71)), 1) == 72 and len(compilations) == 2
    assert not entry.is_symlink()


def test_a_folder_in_the_way(tmp_path, compilations):
    (tmp_path / "file").write_text("in the way")
    for where in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere", "bad\0name"):
        with ad.config(cache=str(where)):
            assert run(load(ADD.format(81)), 1) == 82
    assert len(compilations) == 4


def test_a_directory_where_an_entry_should_be(folder, compilations):
    load(ADD.format(91))
    (entry,) = entries(folder)
    entry.unlink()
    entry.mkdir()
    (entry / "x").write_text("x")
    assert run(load(ADD.format(91)), 1) == 92
    assert [p.name for p in folder.iterdir()] == [entry.name]  # nothing unfinished is left


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert run(load(ADD.format(93)), 1) == 94
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("word", ["0", "off", "OFF", "no", "false", False])
def test_the_cache_can_be_off(tmp_path, monkeypatch, word):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with ad.config(cache=word):
        assert cache.folder() is None
        load(ADD.format(95))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG folders")
def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ad.config(cache="on"):
        assert cache.folder() == str(tmp_path / "adjoint" / "code")
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setenv("HOME", "/home/somebody")
        assert cache.folder() == "/home/somebody/.cache/adjoint/code"
    with ad.config(cache="~/mine"):
        assert cache.folder() == "/home/somebody/mine"


def test_the_oldest_entries_go_when_the_cache_is_full(folder, monkeypatch):
    monkeypatch.setattr(cache, "_PRUNE_EVERY", 1)
    code = bytes(1000)
    for i in range(10):
        cache.put(cache.key(str(i)), code)
        os.utime(folder / (cache.key(str(i)) + ".obj"), (time.time() - 1e6 + i, time.time() - 1e6 + i))
    old = folder / ".unfinished-1"
    old.write_bytes(b"x")
    os.utime(old, (1e9, 1e9))
    stranger = folder / "notes.txt"
    stranger.write_text("not ours")
    assert cache.get(cache.key("0")) == code  # used: it is young again
    monkeypatch.setattr(cache, "LIMIT", 8000)
    cache.put(cache.key("new"), code)
    left = [name for name in ["new", *map(str, range(10))] if cache.get(cache.key(name))]
    assert left == ["new", "0", "7", "8", "9"]
    assert stranger.exists() and not old.exists()
    assert cache.clear() == 5 and entries(folder) == [] and cache.clear() == 0
    monkeypatch.setattr(cache, "LIMIT", 500)
    cache.put(cache.key("too big"), code)
    assert entries(folder) == []


def test_readers_and_writers_at_once(folder):
    """Threads write and read the same keys, while others clear: what is read is whole, or not there."""
    wrong, stop = [], time.time() + 0.5
    codes = {cache.key(str(i)): bytes([i]) * (10_000 + i) for i in range(4)}

    def work(k):
        while time.time() < stop:
            for key, code in codes.items():
                if k == 0:
                    cache.clear()
                elif k == 1:
                    got = cache.get(key)
                    if got is not None and got != code:
                        wrong.append(key)
                else:
                    cache.put(key, code)

    # settings belong to a context, and a new thread starts with an empty one
    threads = [threading.Thread(target=contextvars.copy_context().run, args=(work, k)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert [p for p in folder.iterdir() if p.name.startswith(".")] == []


def test_processes_at_once(folder):
    program = (
        "import ctypes; from adjoint.compiler.native import build\n"
        "from tests.compiler.calling import load\n"
        "from tests.compiler.test_build import ADD, run\n"
        "for k in range(12):\n    assert run(load(ADD.format(k)), 1) == k + 1\n"
    )
    env = {**os.environ, "ADJOINT_CACHE": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=env, cwd=root, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in running:
        assert process.wait() == 0, process.stderr.read()
        process.stderr.close()
    assert len(entries(folder)) == 12


def test_code_survives_the_end_of_the_interpreter():
    """A builtin called while modules are torn down must find its code and its block."""
    program = """
import sys, numpy as np
from tests.compiler.calling import *
class Late:
    def __del__(self):
        y = self.f(self.x)
        sys.__stderr__ and sys.__stderr__.write(f"late {y[0]}\\n")
late = Late()
late.f, late.x = copy_function([VECTOR], VECTOR, workspace=64), X
late.f(X)
sys.late = late
late.me = late
"""
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", program], env=env, cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr.replace("late 1.0\n", "") == ""
