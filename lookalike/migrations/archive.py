"""A collection as a file: to move it between engines, with its vectors, and to keep it.

JSON lines, compressed with gzip where the name ends in `.gz`:

    {"format": "lookalike-export", "version": 1, "collection": {...}}    settings, as in Qdrant
    {"id": "...", "vectors": {...}, "payload": {...}}                     one line per record
    {"end": true, "records": 123}

A dense vector is the base64 of its float32 numbers (little endian), a sparse one has `indices` and
`values`. A file without its last line is cut short and is refused. The payload is the point's, with
our bookkeeping in it, so that an imported record is the same record.
"""

from __future__ import annotations

import base64
import functools
import gzip
import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from lookalike.adapter.collections import indexes, names, store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionConflict, InvalidRequest
from lookalike.adapter.point_layout import TAGS_VECTOR
from lookalike.adapter.records.point_batches import (
    SparseNumbers,
    StoredId,
    StoredPoint,
    insert_missing,
    scroll_points,
)

FORMAT, VERSION = "lookalike-export", 1
PAGE = 32
"""Records in one exchange with the engine: 27 MB at the most, below a server's limit of 32 MB."""

Progress = Callable[[int], object]


class Header(msgspec.Struct, frozen=True):
    format: str
    version: int
    collection: dict[str, Any]


class Line(msgspec.Struct, omit_defaults=True):
    id: StoredId = ""
    vectors: dict[str, str | SparseNumbers] = {}
    payload: dict[str, Any] = {}
    end: bool = False
    records: int = 0


class ArchiveDamaged(InvalidRequest):
    """The file is not an export of ours, or not a whole one."""


async def export_collection(
    engine: Engine, collection: Collection, file: Path, progress: Progress
) -> int:
    """Writes the collection to `file`, which appears once it is whole; the number of records.

    What is written to the collection meanwhile may or may not be in the file. Of two vectors the
    one that is searched is exported.
    """
    partial = file.with_name(file.name + ".part")
    records = 0
    with _open(partial, "wb", compressed=file.suffix == ".gz") as out:
        settings = store.to_settings(collection)
        out.write(msgspec.json.encode(Header(FORMAT, VERSION, settings)) + b"\n")
        names = [collection.vector, TAGS_VECTOR]
        async for points, _ in scroll_points(engine, collection, vectors=names, page=PAGE):
            for point in points:
                out.write(msgspec.json.encode(_line(point)) + b"\n")
            records += len(points)
            progress(records)
        out.write(msgspec.json.encode(Line(end=True, records=records)) + b"\n")
    os.replace(partial, file)
    return records


async def import_collection(
    engine: Engine,
    file: Path,
    progress: Progress,
    *,
    as_new: bool = False,
    name: str | None = None,
) -> tuple[Collection, int]:
    """Makes the collection of `file`; it appears once it is whole. The collection and its records.

    After an interruption the same call goes on: records that are there are not written again.
    `as_new` gives it an id of its own, `name` another name. Raises CollectionConflict where the id
    exists or the name is taken, and ArchiveDamaged, after which nothing can be seen of it.
    """
    collection = _read_header(file, as_new)
    if name is not None:
        names.check_name(name)
        collection = msgspec.structs.replace(collection, name=name)
    if collection.id in await store.read_aliases(engine):
        raise CollectionConflict(f"The collection {collection.id} exists already.")
    await names.refuse_taken(engine, collection.name, collection.id)
    if not await engine.collection_exists(collection.physical):
        await store.create_physical(engine, collection)
    else:
        await indexes.ensure_indexes(engine, collection)
    expected = 0
    batch: list[StoredPoint] = []
    for line in _read_lines(file):
        if line.end:
            expected = line.records
            break
        batch.append(_point(line))
        if len(batch) == PAGE:
            await insert_missing(engine, collection, batch)
            progress(len(batch))
            batch = []
    await insert_missing(engine, collection, batch)
    progress(len(batch))
    count = await store.count_stored(engine, collection)
    if count != expected:
        raise ArchiveDamaged(
            f"{expected} records were exported and {count} are there after the import."
        )
    # Not before, because reading the file may take longer than a claim holds.
    async with names.claimed(engine, collection.name, collection.id):
        await store.point_alias(engine, collection)
    return collection, count


def _read_header(file: Path, as_new: bool) -> Collection:
    with _open(file, "rb") as source:
        try:
            header = msgspec.json.decode(source.readline(), type=Header)
        except (msgspec.DecodeError, OSError, EOFError):
            raise ArchiveDamaged("The file is not an export of Lookalike.") from None
    if header.format != FORMAT or header.version > VERSION:
        raise ArchiveDamaged(
            f"The file is {header.format} {header.version}; known is {FORMAT} {VERSION}."
        )
    id_ = store.new_collection_id() if as_new else str(header.collection.get("id"))
    # Secrets are not exported, and what a file has of them has not been checked.
    own = {"id": id_, "physical": store.physical_name(id_), "fetch_headers": {}}
    return msgspec.convert(header.collection | own, Collection)


def _read_lines(file: Path) -> Iterator[Line]:
    """The lines after the first; raises ArchiveDamaged where the last one is missing."""
    decode = msgspec.json.Decoder(Line).decode
    try:
        with _open(file, "rb") as source:
            source.readline()
            for number, text in enumerate(source, 2):
                try:
                    line = decode(text)
                except msgspec.DecodeError:
                    raise ArchiveDamaged(f"Line {number} of the file cannot be read.") from None
                if line.end:
                    source.read()  # gzip checks its sum at the very end.
                    yield line
                    return
                yield line
    except (EOFError, gzip.BadGzipFile):
        pass
    raise ArchiveDamaged("The file is cut short: its last line is missing.")


def _open(file: Path, mode: str, *, compressed: bool | None = None) -> IO[bytes]:
    """A file to be read is known by its first bytes, whatever its name."""
    if compressed is None:
        with open(file, "rb") as start:
            compressed = start.read(2) == b"\x1f\x8b"
    opener: Any = functools.partial(gzip.open, compresslevel=1) if compressed else open
    stream: IO[bytes] = opener(file, mode)
    return stream


def _line(point: StoredPoint) -> Line:
    vectors = {
        name: vector
        if isinstance(vector, SparseNumbers)
        else base64.b64encode(array("f", vector).tobytes()).decode()
        for name, vector in point.vectors.items()
    }
    return Line(id=point.id, vectors=vectors, payload=point.payload)


def _point(line: Line) -> StoredPoint:
    vectors = {
        name: list(array("f", base64.b64decode(vector))) if isinstance(vector, str) else vector
        for name, vector in line.vectors.items()
    }
    return StoredPoint(line.id, line.payload, vectors)
