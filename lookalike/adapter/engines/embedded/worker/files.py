"""Files that are there as a whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class StorageFailed(BaseException):
    """The disk took a file but not its name, so nobody knows what a restart would find.

    Not an Exception: the process must end before it acknowledges anything on top of that.
    """


def write_file(path: Path, content: bytes) -> None:
    """Replace a file; afterwards it is there as a whole even if the machine loses power.

    Raises OSError when the old file is still there, and StorageFailed when nobody knows.
    """
    temporary = path.with_name(path.name + ".new")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise StorageFailed from error


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_usage(folder: Path) -> int:
    """Bytes that the files take; holes take none."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def remove_tree(folder: Path) -> None:
    """Remove what is known to be rubbish; what cannot be removed now goes at the next start."""
    shutil.rmtree(folder, ignore_errors=True)
