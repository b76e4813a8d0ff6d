"""The data folder: what lies where, and how it changes without ever being half changed.

    lock                     flock of the supervisor; holds its process id
    engine.json              the socket of the running engine
    aliases.json             alias -> collection
    collections/<directory>/
        manifest.json        name, schema, metadata, payload indexes, and which shard is current
        shard-<n>/           the engine's files
        wal-aside-<time>/    a log that could not be read, kept for whoever wants to try

A collection exists from the moment its manifest does, and a shard is current from the moment the
manifest names it. Each file is replaced by rename, so a process killed at any point leaves the old
state or the new one; what no manifest names is removed at the next start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lookalike.adapter.engines.embedded.worker.schema import Schema

MANIFEST = "manifest.json"
LOADING = "loading"
"""Lies in a collection's directory while its shard is being loaded; holds the earlier failures."""


class StorageFailed(BaseException):
    """The disk took a file but not its name, so nobody knows what a restart would find.

    Not an Exception: the process must end before it acknowledges anything on top of that.
    """


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a collection that is not a point."""

    name: str
    collection_schema: Schema
    metadata: dict[str, Any] = {}
    payload_indexes: dict[str, str] = {}
    """Path -> kind."""
    new_vectors: list[str] = []
    """Those added since the shard was built, which are not quantized yet."""
    shard: str = "shard-1"
    graph_indexes: list[str] | None = None
    """The payload indexes that the HNSW graph has links for; None without a graph."""
    format: int = 1


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


def remove_tree(folder: Path) -> None:
    """Remove what nothing names any more; what cannot be removed now goes at the next start."""
    shutil.rmtree(folder, ignore_errors=True)


class CollectionFolder:
    """The directory of one collection and its manifest."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @property
    def shard_folder(self) -> Path:
        return self.path / self.manifest.shard

    def save(self, **changes: Any) -> None:
        """Write the manifest with these changes; what fails to be written is not changed."""
        manifest = msgspec.structs.replace(self.manifest, **changes)
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        write_file(self.path / MANIFEST, content)
        self.manifest = manifest

    def discard(self) -> None:
        """Remove a directory that never became a collection."""
        remove_tree(self.path)

    def clear_next_shard(self) -> Path:
        """Remove what lies where the current shard's successor goes; the path of that directory."""
        number = int(self.manifest.shard.removeprefix("shard-")) + 1
        successor = self.path / f"shard-{number}"
        remove_tree(successor)
        return successor

    def remove_leftovers(self) -> None:
        """Remove what a killed process left beside the current shard, and in it."""
        for shard in self.path.glob("shard-*"):
            if shard != self.shard_folder:
                remove_tree(shard)
        # Each build that is killed leaves its copy of the segment, and no load removes it.
        remove_tree(self.shard_folder / "temp_segments")

    def find_logs_aside(self) -> list[str]:
        """Logs that could not be read: what they held and the files did not is missing."""
        return sorted(path.name for path in self.path.glob("wal-aside-*"))

    def read_load_failures(self) -> int | None:
        """How often loading failed before, or None when no load was cut short."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.path / LOADING).read_text())
        return None

    def note_loading(self, failures: int) -> None:
        (self.path / LOADING).write_text(str(failures))

    def note_loaded(self) -> None:
        (self.path / LOADING).unlink(missing_ok=True)


class DataFolder:
    """All collections of a data folder, by name."""

    def __init__(self, data: Path) -> None:
        self._root = data / "collections"
        self._aliases_file = data / "aliases.json"
        self._root.mkdir(parents=True, exist_ok=True)
        self.aliases: dict[str, str] = {}
        if self._aliases_file.exists():
            self.aliases = msgspec.json.decode(self._aliases_file.read_bytes(), type=dict[str, str])

    def read_collections(self) -> Iterator[CollectionFolder]:
        """The folder of each collection; passes over what never became one."""
        for path in sorted(self._root.iterdir()):
            manifest_file = path / MANIFEST
            if manifest_file.exists():
                manifest = msgspec.json.decode(manifest_file.read_bytes(), type=Manifest)
                yield CollectionFolder(path, manifest)

    def remove_leftovers(self) -> None:
        """Remove what a killed process left behind. No collection may be open."""
        for path in self._root.iterdir():
            if not (path / MANIFEST).exists():
                remove_tree(path)
        for folder in self.read_collections():
            folder.remove_leftovers()

    def create_folder(self, manifest: Manifest) -> CollectionFolder:
        """Create a directory for a collection, which exists once its manifest is saved."""
        folder = CollectionFolder(self._root / uuid.uuid4().hex, manifest)
        folder.shard_folder.mkdir(parents=True)
        return folder

    def remove(self, folder: CollectionFolder) -> None:
        """Delete a collection: the manifest first, for that is what makes it one."""
        (folder.path / MANIFEST).unlink()
        sync_folder(folder.path)
        remove_tree(folder.path)

    def save_aliases(self, aliases: dict[str, str]) -> None:
        write_file(self._aliases_file, msgspec.json.format(msgspec.json.encode(aliases), indent=1))
        self.aliases = aliases
