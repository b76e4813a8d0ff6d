"""A collection as a file: to move it between engines, with its vectors, and to keep it.

JSON lines, compressed with gzip where the name ends in `.gz`:

    {"format": "lookalike-export", "version": 2, "collection": {...}}    settings, as in Qdrant
    {"id": "...", "vectors": {...}, "payload": {...}}                     one line per record
    {"late": true, "id": "...", "vectors": {...}, "payload": {...}}       written meanwhile
    {"late": true, "id": "...", "gone": true}                             deleted meanwhile
    {"end": true, "records": 123}

A late line stands in the place of what an earlier line says of the same point. Version 1 had none,
and one vector only.

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from lookalike.adapter.collections import indexes, names, second_vector, store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionConflict, InvalidRequest
from lookalike.adapter.point_layout import TAGS_VECTOR
from lookalike.adapter.records.bookkeeping import token_of
from lookalike.adapter.records.point_batches import (
    SparseNumbers,
    StoredId,
    StoredPoint,
    insert_missing,
    read_points,
    replace_points,
    scroll_points,
    scroll_tokens,
)

FORMAT, VERSION = "lookalike-export", 2
PAGE = 32
"""Records in one exchange with the engine: 27 MB at the most, below a server's limit of 32 MB."""

TOKENS_PAGE = 1000
MAX_LATE_PASSES = 5

Progress = Callable[[int], object]


class Header(msgspec.Struct, frozen=True):
    format: str
    version: int
    collection: dict[str, Any]


class Line(msgspec.Struct, omit_defaults=True):
    id: StoredId = ""
    vectors: dict[str, str | SparseNumbers] = {}
    payload: dict[str, Any] = {}
    late: bool = False
    gone: bool = False
    end: bool = False
    records: int = 0


class ArchiveDamaged(InvalidRequest):
    """The file is not an export of ours, or not a whole one."""


class Exported(msgspec.Struct, frozen=True):
    records: int
    late: int
    """How many writes and deletions came after the record was read, and were read again."""
    settled: bool
    """Whether the last look found nothing that was written since the one before it."""


async def export_collection(
    engine: Engine, collection: Collection, file: Path, progress: Progress, *, force: bool = False
) -> Exported:
    """Writes the collection, with both vectors where it has two, to `file`.

    The file appears once it is whole. What is written to the collection meanwhile is in it: every
    write leaves a token, so that a second look tells what to read again. Raises CollectionConflict
    where the file exists (unless `force`), and where the settings were changed meanwhile.
    """
    _refuse_existing(file, force)
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with _open(partial, "xb", compressed=file.suffix == ".gz") as out:
            second = msgspec.to_builtins(collection.second_vector)
            settings = store.to_settings(collection) | {"alternative": second}
            out.write(msgspec.json.encode(Header(FORMAT, VERSION, settings)) + b"\n")
            exported = await _Export(engine, collection, out).run(progress)
        if await store.read_collection(engine, collection.id) != collection:
            raise CollectionConflict(
                "The settings of the collection were changed meanwhile: export it again."
            )
        _refuse_existing(file, force)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    return exported


def _refuse_existing(file: Path, force: bool) -> None:
    if not force and file.exists():
        raise CollectionConflict(f"{file} exists already.")


class _Export:
    """The lines of one export, and the token of each point that is in them."""

    def __init__(self, engine: Engine, collection: Collection, out: IO[bytes]) -> None:
        self._engine, self._collection, self._out = engine, collection, out
        second = collection.second_vector
        self._vectors = [collection.vector, TAGS_VECTOR, *([second.vector] if second else [])]
        self._tokens: dict[StoredId, str] = {}
        self._late = 0

    async def run(self, progress: Progress) -> Exported:
        pages = scroll_points(self._engine, self._collection, vectors=self._vectors, page=PAGE)
        async for points, _ in pages:
            self._write(points)
            progress(len(self._tokens))
        settled = False
        for _ in range(MAX_LATE_PASSES):
            changed, gone = await self._find_late()
            settled = not changed and not gone
            if settled:
                break
            await self._write_late(changed, gone)
        count = len(self._tokens)
        self._write_line(Line(end=True, records=count))
        return Exported(count, self._late, settled)

    async def _find_late(self) -> tuple[list[StoredId], set[StoredId]]:
        """The points that are not as they were written to the file, and those that are gone."""
        changed: list[StoredId] = []
        gone = set(self._tokens)
        async for page in scroll_tokens(self._engine, self._collection, TOKENS_PAGE):
            changed += [id_ for id_, token in page.items() if self._tokens.get(id_) != token]
            gone -= page.keys()
        return changed, gone

    async def _write_late(self, changed: list[StoredId], gone: set[StoredId]) -> None:
        for id_ in gone:
            del self._tokens[id_]
            self._write_line(Line(id=id_, late=True, gone=True))
        for begin in range(0, len(changed), PAGE):
            ids = changed[begin : begin + PAGE]
            self._write(
                await read_points(self._engine, self._collection, ids, self._vectors), late=True
            )
        self._late += len(changed) + len(gone)

    def _write(self, points: Sequence[StoredPoint], *, late: bool = False) -> None:
        for point in points:
            self._tokens[point.id] = token_of(point.payload)
            self._write_line(msgspec.structs.replace(_line(point), late=late))

    def _write_line(self, line: Line) -> None:
        self._out.write(msgspec.json.encode(line) + b"\n")


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
    await second_vector.restore_second_vector(engine, collection)
    expected = await _write_lines(engine, collection, file, progress)
    count = await store.count_stored(engine, collection)
    if count != expected:
        raise ArchiveDamaged(
            f"{expected} records were exported and {count} are there after the import."
        )
    # Not before, because reading the file may take longer than a claim holds.
    async with names.claimed(engine, collection.name, collection.id):
        await store.point_alias(engine, collection)
    return collection, count


async def _write_lines(
    engine: Engine, collection: Collection, file: Path, progress: Progress
) -> int:
    """Writes the records of the file; how many there must be then."""
    expected = 0
    batch: list[Line] = []
    for line in _read_lines(file):
        if batch and (line.end or len(batch) == PAGE or line.late != batch[0].late):
            await _write_batch(engine, collection, batch)
            progress(len(batch))
            batch = []
        if line.end:
            expected = line.records
        else:
            batch.append(line)
    return expected


async def _write_batch(engine: Engine, collection: Collection, batch: Sequence[Line]) -> None:
    if not batch[0].late:
        await insert_missing(engine, collection, [_point(line) for line in batch])
        return
    newest = {line.id: line for line in batch}.values()
    await replace_points(
        engine,
        collection,
        [_point(line) for line in newest if not line.gone],
        [line.id for line in newest if line.gone],
    )


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
    try:
        return msgspec.convert(header.collection | own, Collection)
    except msgspec.ValidationError as error:
        raise ArchiveDamaged(f"The collection of the file cannot be made: {error}") from None


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
    try:
        vectors = {
            name: list(array("f", base64.b64decode(vector))) if isinstance(vector, str) else vector
            for name, vector in line.vectors.items()
        }
    except ValueError:
        raise ArchiveDamaged(f"The vectors of the point {line.id} cannot be read.") from None
    return StoredPoint(line.id, line.payload, vectors)
