"""A disk that a test can fill: a file system of its own, in a file."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted file system of 400 MB, and a file that takes the room of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """At once, but for a rest that the file system needs for itself."""
        with contextlib.suppress(OSError), open(self._filler, "ab") as filler:
            for part in (1, 2, 4, 8, 16, 32, 64, 128):
                with contextlib.suppress(OSError):
                    more = (self.free_bytes - leave_bytes) // part
                    os.posix_fallocate(filler.fileno(), 0, filler.seek(0, os.SEEK_END) + more)
            while self.free_bytes > leave_bytes:
                filler.write(bytes(4096))
                filler.flush()
                os.fsync(filler.fileno())

    def clear(self) -> None:
        self._filler.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Skips the test where this machine lets nobody mount a file system."""
    image, path = folder / "disk.img", folder / "disk"
    path.mkdir()
    with open(image, "wb") as file:
        file.truncate(400 << 20)
    _run_or_skip("mkfs.ext4", "-q", "-m", "0", str(image))
    _run_or_skip("mount", "-o", "loop", str(image), str(path))
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", str(path)], check=True)
        image.unlink()


def _run_or_skip(*command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}, to make a disk that can be filled")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount a disk that can be filled: {done.stderr.strip()}")
