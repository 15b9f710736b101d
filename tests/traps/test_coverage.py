"""Every trap that concerns the dialects has its cases."""

import re
from pathlib import Path

REQUIRED = {
    *(1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 17, 18, 20, 21, 23, 24),  # A. Tool calls
    *(25, 26, 27, 28, 29, 30, 31, 33, 34, 36, 37),  # B. Blocks
    *(38, 40, 41, 42, 43, 44, 45, 47),  # C. Thinking
    *(48, 51, 52, 53, 54, 56),  # D. Usage
    *(57, 58, 59, 60),  # E. Stop reasons
    *(62, 63, 64, 65, 69, 70, 71),  # F. Failures
    *(74, 76, 77, 78, 79, 81),  # G. Responses, accumulation
    *(83, 84, 85, 87, 88),  # H. Wire
}
GATEWAY = {22, 50, 67, 72, 73}  # and the injected pings of 70


def test_every_trap_has_a_case() -> None:
    files = Path(__file__).parent.glob("test_*.py")
    found = {
        int(n) for file in files for n in re.findall(r"^def test_trap_(\d\d)_", file.read_text("utf-8"), re.MULTILINE)
    }
    assert found == REQUIRED
    assert not REQUIRED & GATEWAY
