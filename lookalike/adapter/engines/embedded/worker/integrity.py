"""Sizes and checksums of the files of a shard, by which damage is noticed before they are loaded.

The engine loads files that were cut or changed, and answers with what is left of them. So what they
were is noted at moments after which they do not change:

- *closed*: after an orderly end, of every file, and how many points there were;
- *flushed*: after a flush, of the files that only a flush changes: which points there are.

The inventory is removed before they change again, and before they are loaded, so a process that is
killed at any moment leaves either an inventory that is true or none.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from pathlib import Path
from typing import Literal

import msgspec

from lookalike.adapter.engines.embedded.worker.files import sync_folder, write_file

CHECKED_BYTES = 1 << 30
"""The most that is read for checksums of one shard, 1 s; of the files beyond, the largest, only the
sizes are compared."""
BLOCK_BYTES = 1 << 16
ONLY_FLUSHED = ("mutable_id_tracker.", "id_tracker.")
"""Names of files that nothing changes but a flush begin so."""


class FileState(msgspec.Struct, frozen=True, array_like=True):
    size: int
    checksum: int | None
    """CRC-32 of the parts that hold data, with their places; None where it would take too long."""


class Inventory(msgspec.Struct, frozen=True):
    state: Literal["closed", "flushed"]
    points: int
    files: dict[str, FileState]
    """By the path below the folder of the shard."""


def take_inventory(shard: Path, state: Literal["closed", "flushed"], points: int) -> None:
    """Without room for the inventory there is none."""
    files = {
        path: FileState(file.stat().st_size, checksum(file) if checked else None)
        for path, file, checked in _files(shard, flushed=state == "flushed")
    }
    with contextlib.suppress(OSError):
        write_file(_inventory_file(shard), msgspec.json.encode(Inventory(state, points, files)))


def remove_other_inventories(shard: Path) -> None:
    """Those of shards that this one has replaced."""
    for inventory in shard.parent.glob("integrity-*.json"):
        if inventory != _inventory_file(shard):
            inventory.unlink()


def remove_inventory(shard: Path) -> None:
    """The files are about to change."""
    inventory = _inventory_file(shard)
    if inventory.exists():
        inventory.unlink()
        sync_folder(inventory.parent)


def read_inventory(shard: Path) -> Inventory | None:
    """None also where it cannot be read: then nothing is known."""
    try:
        return msgspec.json.decode(_inventory_file(shard).read_bytes(), type=Inventory)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def find_damage(shard: Path, inventory: Inventory) -> str | None:
    """What of the files is not as it was noted, in plain words."""
    for path, was in inventory.files.items():
        file = shard / path
        if not file.exists():
            return f"{path} is missing"
        size = file.stat().st_size
        if size != was.size:
            return f"{path} has {size} bytes and had {was.size}"
        if was.checksum is not None and checksum(file) != was.checksum:
            return f"{path} has changed"
    return None


def _inventory_file(shard: Path) -> Path:
    return shard.with_name(f"integrity-{shard.name}.json")


def _files(shard: Path, *, flushed: bool) -> list[tuple[str, Path, bool]]:
    """Path below the shard, file, and whether it is read: the smallest first, up to the bound."""
    found = [file for file in shard.rglob("*") if file.is_file()]
    if flushed:
        found = [file for file in found if file.name.startswith(ONLY_FLUSHED)]
    listed, read = [], 0
    for file in sorted(found, key=lambda each: each.stat().st_blocks):
        read += file.stat().st_blocks * 512
        listed.append((str(file.relative_to(shard)), file, read <= CHECKED_BYTES))
    return listed


def checksum(file: Path) -> int:
    """Of the blocks of a file that hold data, with their places.

    The engine makes files of 32 MiB for a few points: what was never written is a hole, and takes
    no time here. Zeros count for nothing, so that a copy without holes is the same.
    """
    value = place = 0
    with open(file, "rb", buffering=0) as opened:
        while (begin := _next_data(opened.fileno(), place)) is not None:
            begin -= begin % BLOCK_BYTES
            block = os.pread(opened.fileno(), BLOCK_BYTES, begin).rstrip(b"\0")
            if block:
                value = zlib.crc32(block, zlib.crc32(begin.to_bytes(8, "little"), value))
            place = begin + BLOCK_BYTES
    return value


def _next_data(descriptor: int, place: int) -> int | None:
    try:
        return os.lseek(descriptor, place, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # Behind it is only a hole, or the end.
            return None
        raise
