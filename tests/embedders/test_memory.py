"""What images have used goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import os
import lookalike.embedders.memory as memory
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
# Blocks too small to be mapped each on its own, and one that holds up the end of the heap.
blocks = [bytearray(60_000) for _ in range(2000)]
last = bytearray(1000)
most = resident()
del blocks
memory.trim_heap()
print(most - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory")
def test_freed_memory_goes_back() -> None:
    out = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True).stdout
    assert int(out) > 90
