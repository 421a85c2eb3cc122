"""Write anew the list of ops with native code in docs/compiled.md."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "compiled.md"
MARKS = re.compile(r"(?<=<!-- native -->\n).*(?=<!-- /native -->)", re.DOTALL)

if __name__ == "__main__":
    made = subprocess.run(
        [sys.executable, "-m", "adjoint", "ops", "--native", "--markdown"], capture_output=True, text=True, check=True
    )
    PAGE.write_text(MARKS.sub(lambda _: made.stdout, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
