"""Guard: a debug mode that finds wrong memory in compiled code. Knows Code.

Memory of the workspace holds NaN when it is taken and again when it is given back, as do results before the first step: what is
read too early or too late shows in the results. Behind each piece lies a zone that nobody may write to; it is looked at
when the piece is given back.
"""

GUARD = 64  # bytes of a zone
OVERRUN = 4  # the kernel's result code
_ZONE = 0xA5


class Guard:
    """Emits the filling and the checks of one kernel."""

    def __init__(self, code):
        self.code = code
        code.module.functions["ad.zone"] = _ZONE_INTACT
        code.module.declare(_ANY, f"declare i1 @{_ANY}(<{GUARD // 8} x i1>)")

    def poison(self, ptr, size):
        if size:
            self._fill(ptr, 0xFF, size)

    def taken(self, ptr, size):
        self.poison(ptr, size)
        self._fill(self.code.at(ptr, size), _ZONE, GUARD)

    def given(self, ptr, size):
        code = self.code
        intact = code.emit(f"call i1 @ad.zone(ptr {code.at(ptr, size)})")
        code.fail_if(code.emit(f"xor i1 {intact}, true"), OVERRUN)
        self.poison(ptr, size)

    def _fill(self, ptr, byte, size):
        code = self.code
        f = code.module.declare("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        code.do(f"call void @{f}(ptr {ptr}, i8 {byte}, i64 {size}, i1 false)")


_ANY = f"llvm.vector.reduce.or.v{GUARD // 8}i1"
_ZONE_INTACT = f"""define internal i1 @ad.zone(ptr %p) noinline {{
  %x = load <{GUARD // 8} x i64>, ptr %p, align 1
  %bad = icmp ne <{GUARD // 8} x i64> %x, splat (i64 {int.from_bytes(bytes([_ZONE]) * 8, "little", signed=True)})
  %any = call i1 @{_ANY}(<{GUARD // 8} x i1> %bad)
  %ok = xor i1 %any, true
  ret i1 %ok
}}"""
