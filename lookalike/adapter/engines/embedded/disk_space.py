"""Room on the disk: inserts leave a reserve, so that searches and deletes go on when it is full.

The engine writes through mapped files. A page for which the file system has no block ends the
process (SIGBUS), so free space is looked at before every write; that takes 2 µs.

    free space               what is done
    the reserve and more     everything
    less                     nothing is added; searches, deletes and flushes go on
    less than a piece        something else fills the disk: a piece of the ballast is given up
    half a piece             nothing is written at all

Flushes wait while something else fills the disk. What was acknowledged is in the log.

The ballast is a file of real blocks in the data folder, a quarter of the reserve and 64 MiB at the
most. No other program can take what it holds, so there is room for deletes and for the next start,
which writes a few blocks for each collection that it loads. It is given up in pieces, so that what
fills the disk and stops when that is full does not get all of it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path

log = logging.getLogger("lookalike.engine")

BALLAST = "ballast"
MAX_BALLAST_BYTES = 64 << 20
PIECES = 8
STEADY_SECONDS = 2.0
WRITTEN_PER_SENT = 4
"""Bytes on the disk for a byte of a request: in the log, in the segment, in the indexes."""


NOTHING_ADDED = "The disk is full. Searches and deletes go on."
NOTHING_WRITTEN = "The disk is full to the last block. Searches go on."


class NoRoom(Exception):
    """There is no room for a write, of which nothing was carried out."""


class DiskSpace:
    """Free space of the disk that a data folder is on."""

    def __init__(self, data: Path, reserve_bytes: int) -> None:
        self._data = data
        self.reserve_bytes = reserve_bytes
        self._ballast = data / BALLAST
        self._wanted_bytes = min(reserve_bytes // 4, MAX_BALLAST_BYTES)
        self._piece_bytes = self._wanted_bytes // PIECES
        self._was_full = False
        self._steady_from = 0.0

    @property
    def free_bytes(self) -> int:
        """What a user without special rights may still write."""
        found = os.statvfs(self._data)
        return found.f_bavail * found.f_frsize

    @property
    def full(self) -> bool:
        """Whether nothing may be added."""
        return self._lacks(0)

    @property
    def exhausted(self) -> bool:
        """Whether nothing may be written at all."""
        return self._room() < self._piece_bytes // 2

    @property
    def steady(self) -> bool:
        """Whether there is room, and nothing else was seen to take it just now. A flush is long
        enough to lose its room on the way, so it waits for this."""
        free = self._room()
        return free >= self._piece_bytes and time.monotonic() >= self._steady_from

    def make_room(self) -> None:
        """Give up what a process needs that starts."""
        self._room()

    def check_adding(self, sent_bytes: int) -> None:
        """Raises NoRoom where a request of this size would take of the reserve."""
        if self._lacks(sent_bytes * WRITTEN_PER_SENT):
            raise NoRoom(NOTHING_ADDED)

    def check_writing(self) -> None:
        """Raises NoRoom where even a delete has no room."""
        if self.exhausted:
            raise NoRoom(NOTHING_WRITTEN)

    def _lacks(self, needed_bytes: int) -> bool:
        free = self._room()
        # The ballast comes back first: it is what lets deletes go on the next time.
        kept = self.reserve_bytes + self._wanted_bytes - self._size()
        full = free < kept
        if full != self._was_full:
            self._was_full = full
            if full:
                log.error("the disk is full (%d MB free): nothing is added", free >> 20)
            else:
                log.warning("the disk has room again (%d MB free)", free >> 20)
        return free - needed_bytes < kept

    def _room(self) -> int:
        """Free bytes, once the ballast has grown or shrunk as these ask for."""
        free, size = self.free_bytes, self._size()
        if size and free < self._piece_bytes:
            self._resize(max(0, size - self._piece_bytes))
        elif free >= self.reserve_bytes + self._wanted_bytes - size and size < self._wanted_bytes:
            self._resize(self._wanted_bytes)
        else:
            return free
        return self.free_bytes

    def _size(self) -> int:
        try:
            return os.stat(self._ballast).st_size
        except FileNotFoundError:
            return 0

    def _resize(self, size: int) -> None:
        # Somebody else may be faster; it is tried again.
        with contextlib.suppress(OSError), open(self._ballast, "ab") as file:
            if size < file.tell():
                log.warning("something else fills the disk: a piece of the ballast goes")
                self._steady_from = time.monotonic() + STEADY_SECONDS
                file.truncate(size)
                os.fsync(file.fileno())  # ext4 frees blocks when its journal is written.
            else:
                os.posix_fallocate(file.fileno(), 0, size)
