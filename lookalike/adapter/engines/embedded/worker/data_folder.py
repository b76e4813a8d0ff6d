"""The data folder: what lies where, and how it changes without ever being half changed.

    lock                     flock of the supervisor; holds its process id and the worker's
    engine.json              the socket of the running engine
    aliases.json             alias -> collection
    collections/<directory>/
        manifest.json        name, schema, metadata, payload indexes, and which shard is current
        manifest.copy.json   see `manifests`
        making, removed      lies there while the collection is made, and since it was deleted
        shard-<n>/           the engine's files
        integrity-shard-<n>.json   what they were like, see `integrity`
        wal-aside-<time>/    a log that could not be read, kept for whoever wants to try

A collection exists from the moment its manifest does, and a shard is current from the moment the
manifest names it. Each file is replaced by rename, so a process killed at any point leaves the old
state or the new one.

Only what is known to be rubbish is ever removed: a directory that says that it was being made and
has no manifest, one that says that it was deleted, and shards that a readable manifest does not
name. A directory whose manifest is lost or damaged is a damaged collection, and stays as it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lookalike.adapter.engines.embedded.worker.aliases import (
    read_alias_file,
    repair_aliases,
    write_aliases,
)
from lookalike.adapter.engines.embedded.worker.files import remove_tree, sync_folder
from lookalike.adapter.engines.embedded.worker.integrity import remove_other_inventories
from lookalike.adapter.engines.embedded.worker.manifests import (
    COPY,
    MANIFEST,
    Manifest,
    ManifestDamaged,
    read_manifest,
    write_manifest,
)

log = logging.getLogger("lookalike.engine")

MAKING, REMOVED = "making", "removed"
LOADING = "loading"
"""Lies in a collection's directory while its shard is being loaded; holds the earlier failures."""


class DamagedCollection(msgspec.Struct, frozen=True):
    """A collection that cannot be served. `reason`: in plain words, for whoever looks after it."""

    path: Path
    name: str
    """Of the directory, where neither the manifest nor its copy tells that of the collection."""
    reason: str
    metadata: dict[str, Any] = {}


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
        write_manifest(self.path, manifest)
        self.manifest = manifest

    def ensure_copy(self) -> None:
        """An older version has written the manifest alone."""
        if not (self.path / COPY).exists():
            with contextlib.suppress(OSError):  # Loading goes on where nothing can be written.
                write_manifest(self.path, self.manifest)

    def finish(self) -> None:
        """The manifest of a new collection is written: from now on it exists."""
        self.save()
        (self.path / MAKING).unlink()

    def discard(self) -> None:
        """Remove a directory that never became a collection."""
        remove_rubbish(self.path)

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
        remove_other_inventories(self.shard_folder)
        # It was killed after the manifest was written.
        (self.path / MAKING).unlink(missing_ok=True)
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

    def read_collections(self) -> Iterator[CollectionFolder | DamagedCollection]:
        """Each collection, whole or damaged; passes over what never became one or was deleted."""
        for path in sorted(self._root.iterdir()):
            if is_rubbish(path):
                continue
            try:
                yield CollectionFolder(path, read_manifest(path / MANIFEST))
            except ManifestDamaged as damage:
                yield _damaged(path, str(damage))

    def remove_leftovers(self) -> None:
        """Remove what a killed process left behind. No collection may be open."""
        for path in self._root.iterdir():
            if is_rubbish(path):
                remove_rubbish(path)
        for folder in self.read_collections():
            if isinstance(folder, CollectionFolder):
                folder.remove_leftovers()

    def read_aliases(self, ids: Mapping[str, str | None]) -> None:
        """`ids`: as of `repair_aliases`. What was wrong with them is written right."""
        found = read_alias_file(self._aliases_file)
        self.aliases = repair_aliases(found, ids)
        if self.aliases != (found or {}):
            log.error("aliases were lost or damaged; made again: %s", self.aliases)
            with contextlib.suppress(OSError):  # Loading goes on where nothing can be written.
                write_aliases(self._aliases_file, self.aliases)

    def create_folder(self, manifest: Manifest) -> CollectionFolder:
        """Create a directory for a collection, which exists once that is `finish`ed."""
        folder = CollectionFolder(self._root / uuid.uuid4().hex, manifest)
        folder.path.mkdir()
        (folder.path / MAKING).touch()
        sync_folder(folder.path)
        folder.shard_folder.mkdir()
        return folder

    def remove(self, path: Path) -> None:
        """Delete a collection, which is gone as soon as its directory says so."""
        # A rename takes no room on a full disk.
        with contextlib.suppress(FileNotFoundError):
            os.replace(path / MANIFEST, path / REMOVED)
        (path / REMOVED).touch()
        sync_folder(path)
        remove_rubbish(path)

    def restore_manifest(self, path: Path) -> CollectionFolder | None:
        """Put the copy of a damaged manifest in its place; None where the copy is no better."""
        with contextlib.suppress(ManifestDamaged):
            return CollectionFolder(path, read_manifest(path / MANIFEST))
        try:
            copy = read_manifest(path / COPY)
        except ManifestDamaged:
            return None
        write_manifest(path, copy)
        return CollectionFolder(path, copy)

    def save_aliases(self, aliases: dict[str, str]) -> None:
        write_aliases(self._aliases_file, aliases)
        self.aliases = aliases


def is_rubbish(path: Path) -> bool:
    """Whether a directory never became a collection, or is none any more, by its own word; one with
    nothing in it has nothing to lose."""
    found = set(os.listdir(path)) if path.is_dir() else {path.name}
    return not found or REMOVED in found or (MAKING in found and MANIFEST not in found)


def remove_rubbish(path: Path) -> None:
    """Remove a directory; what says that it is rubbish goes last, for a process that is killed."""
    for entry in path.iterdir():
        if entry.name in (MAKING, REMOVED):
            continue
        if entry.is_dir():
            remove_tree(entry)
        else:
            with contextlib.suppress(OSError):  # It goes at the next start.
                entry.unlink()
    remove_tree(path)


def _damaged(path: Path, reason: str) -> DamagedCollection:
    try:
        copy = read_manifest(path / COPY)
    except ManifestDamaged:
        return DamagedCollection(path, path.name, f"{reason}, and there is no copy of it")
    return DamagedCollection(path, copy.name, f"{reason}; its copy is whole", copy.metadata)
