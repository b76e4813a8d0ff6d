"""Loading a shard, and what to do when it does not load.

A log that was written by another version, or that holds what `validation` should have refused,
makes the load fail each time. After two failures the log is put aside (and kept), and the
collection is loaded as it was at the last flush; `health` says so. Only failures of the load itself
count: a process killed from outside, a full disk or a lock that is still held say nothing about the
log.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from typing import Any

import msgspec
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker.data_folder import CollectionFolder
from lookalike.adapter.engines.embedded.worker.files import remove_tree
from lookalike.adapter.engines.embedded.worker.integrity import (
    find_damage,
    read_inventory,
    remove_inventory,
)
from lookalike.adapter.engines.embedded.worker.schema import edge_config, index_params

log = logging.getLogger("lookalike.engine")

MAX_FAILURES = 2
SALVAGE_PAGE = 512
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
PASSING = DISK_FULL | {
    *(errno.EAGAIN, errno.ENOMEM, errno.EACCES, errno.ENFILE, errno.EMFILE, errno.EROFS)
}
"""Failures that are not the files' fault: locked, no memory, no permission, too many open files,
read-only."""
_ERRNO = re.compile(r"(?:os error |\[Errno )(\d+)")


class LoadPostponed(Exception):
    """The shard does not load now, and its files are not to blame. The text says why."""


class ShardDamaged(Exception):
    """The shard does not load, with its log or without, or its files are not what they were. The
    text says which, in plain words."""


def load_shard(folder: CollectionFolder, *, faulted: bool) -> edge.EdgeShard:
    """Load the current shard of a collection.

    `faulted`: the last worker died of a fault (a segmentation fault leaves no chance to count it
    then). Raises ShardDamaged when the collection cannot be loaded at all, and LoadPostponed when
    it cannot be loaded now; anything else that is raised deserves another try in a new process.
    """
    inventory = read_inventory(folder.shard_folder)
    if (
        inventory is not None
        and (damage := find_damage(folder.shard_folder, inventory)) is not None
    ):
        raise ShardDamaged(f"{damage}; {inventory.points} records were in its files")
    before = folder.read_load_failures()
    failures = (before or 0) + (faulted and before is not None)
    if failures > MAX_FAILURES:
        raise ShardDamaged("the engine cannot load its files")
    if failures == MAX_FAILURES:
        _put_log_aside(folder)
    try:
        folder.note_loading(failures)
        # Loading changes files.
        remove_inventory(folder.shard_folder)
        shard = edge.EdgeShard.load(str(folder.shard_folder))
        _match_vectors(folder, shard)
        if failures == MAX_FAILURES:
            shard = _salvage(folder, shard)
    except BaseException as error:
        if (number := errno_of(error)) in PASSING:
            locked = number == errno.EAGAIN
            raise LoadPostponed("locked by another" if locked else os.strerror(number)) from None
        folder.note_loading(failures + 1)
        raise
    folder.note_loaded()
    return shard


def _match_vectors(folder: CollectionFolder, shard: edge.EdgeShard) -> None:
    """Drop the vectors that the manifest does not name: the last worker was killed while it added
    or dropped one."""
    config = msgspec.json.decode(
        (folder.shard_folder / "edge_config.json").read_bytes(), type=dict[str, Any]
    )
    for name in config["vectors"].keys() - folder.manifest.collection_schema.vectors.keys():
        shard.update(edge.UpdateOperation.delete_vector_name(name))


def _put_log_aside(folder: CollectionFolder) -> None:
    wal = folder.shard_folder / "wal"
    if wal.exists():
        aside = folder.path / f"wal-aside-{int(time.time())}"
        wal.rename(aside)
        log.error("the log of a collection cannot be read; kept as %s", aside)


def _salvage(folder: CollectionFolder, old: edge.EdgeShard) -> edge.EdgeShard:
    """Copy all points to a new shard.

    Without its log a shard counts its operations from 0 again, and the engine silently ignores a
    write whose number is lower than that of the point: points of before could not be changed.
    """
    successor = folder.clear_next_shard()
    successor.mkdir()
    new = edge.EdgeShard.create(str(successor), edge_config(folder.manifest.collection_schema))
    create_indexes(folder, new)
    offset = None
    while True:
        records, offset = old.scroll(
            edge.ScrollRequest(
                offset=offset, limit=SALVAGE_PAGE, with_payload=True, with_vector=True
            )
        )
        points = [edge.Point(r.id, r.vector or {}, r.payload) for r in records]
        new.update(edge.UpdateOperation.upsert_points(points))
        if offset is None:
            break
    new.flush()
    old.close()
    abandoned = folder.shard_folder
    folder.save(shard=successor.name, graph_indexes=None, new_vectors=[])
    remove_tree(abandoned)
    return new


def create_indexes(folder: CollectionFolder, shard: edge.EdgeShard) -> None:
    """Create the payload indexes of the manifest that the shard does not have."""
    there = shard.info().payload_schema
    for path, params in folder.manifest.payload_indexes.items():
        if path not in there:
            shard.update(edge.UpdateOperation.create_field_index(path, index_params(params)))


def errno_of(error: BaseException) -> int:
    """What the system said, of an error of ours or of the engine's, which has it in its text only;
    0 where it said nothing."""
    text = str(error)
    if "WouldBlock" in text:
        return errno.EAGAIN
    found = _ERRNO.search(text)
    return int(found[1]) if found else 0
