"""A collection goes from one engine to another and is the same collection there."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lookalike.adapter.collections import second_vector, store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection, Storage
from lookalike.adapter.collections.names import NameTaken
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionConflict, CollectionNotFound
from lookalike.adapter.records import listing
from lookalike.adapter.records.selection import EVERYTHING
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.nearest import Query, find_nearest
from lookalike.adapter.search.vectors import read_vectors
from lookalike.migrations.archive import (
    ArchiveDamaged,
    Exported,
    export_collection,
    import_collection,
)
from tests.engines.contract.subjects import memory
from tests.migrations.reembedding import migration, new_vector
from tests.shelf import embed, record, vector

COUNT = 150


def quiet(_: int) -> None:
    """Nobody watches."""


@pytest.fixture
async def filled(
    engine: Engine, collection_cache: CollectionCache, collection_of: Any
) -> Collection:
    made: Collection = collection_of(storage=Storage(quantization="scalar"), capacity=1000)
    await store.create_collection(engine, made)
    collection_cache.put(made)
    await Writer(engine, collection_cache).insert(
        made, [record(n) for n in range(COUNT)], embed, None
    )
    return await collection_cache.find(made.id)


@pytest.fixture
async def elsewhere(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    with memory(request) as subject:
        other = await subject.connect()
        yield other
        await other.close()


async def everything(engine: Engine, collection: Collection) -> dict[str, Any]:
    points, _ = await engine.scroll(
        collection.physical, limit=10_000, with_payload=True, with_vectors=True
    )
    return {str(point.id): (point.payload, point.vector) for point in points}


async def test_secrets_stay_where_they_are(
    engine: Engine, elsewhere: Engine, filled: Collection, tmp_path: Path
) -> None:
    headers = {"https://origin.test": {"Authorization": "Bearer s3cret"}}
    secretive = msgspec.structs.replace(filled, fetch_headers=headers)
    await store.save_collection(engine, filled, secretive)
    file = tmp_path / "collection.jsonl"
    await export_collection(engine, await CollectionCache(engine).find(filled.id), file, quiet)
    text = file.read_text()
    assert "s3cret" not in text
    assert "fetch_headers" not in text
    unasked = text.replace(
        '"name":', f'"fetch_headers":{msgspec.json.encode(headers).decode()},"name":', 1
    )
    file.write_text(unasked)
    there, _ = await import_collection(elsewhere, file, quiet)
    assert there == filled


async def all_points(engine: Engine, collection: Collection) -> list[Any]:
    points, _ = await engine.scroll(collection.physical, limit=10_000, with_payload=True)
    return list(points)


async def everything_after(engine: Engine, file: Path) -> dict[str, Any]:
    there, _ = await import_collection(engine, file, quiet)
    return await everything_of(engine, there)


async def everything_of(engine: Engine, collection: Collection) -> dict[str, Any]:
    """Payloads, and vectors to the digits that every engine keeps."""
    found = await everything(engine, collection)
    return {
        id_: (payload, [round(number, 5) for number in vectors["visual"]], vectors.get("tags"))
        for id_, (payload, vectors) in found.items()
    }


class BusyEngine:
    """An engine, with somebody who writes whenever a page has been read."""

    def __init__(self, engine: Engine) -> None:
        self._engine: Any = engine
        self.after_first_page: Any = None
        self.after_each_page: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def scroll(self, *arguments: Any, **options: Any) -> Any:
        return await self._then_write(await self._engine.scroll(*arguments, **options))

    async def retrieve(self, *arguments: Any, **options: Any) -> Any:
        return await self._then_write(await self._engine.retrieve(*arguments, **options))

    async def _then_write(self, page: Any) -> Any:
        first, self.after_first_page = self.after_first_page, None
        for write in (first, self.after_each_page):
            if write is not None:
                await write()
        return page


async def test_there_and_back_again(
    engine: Engine, elsewhere: Engine, filled: Collection, tmp_path: Path
) -> None:
    before = await everything(engine, filled)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl.gz"
    done = await export_collection(engine, filled, first, quiet)
    assert done == Exported(COUNT, late=0, settled=True)
    there, count = await import_collection(elsewhere, first, quiet)
    assert (there, count) == (filled, COUNT)
    assert await CollectionCache(elsewhere).find(filled.name) == filled
    query = Query(record_id="r5", k=20)
    hits = await find_nearest(elsewhere, there, query)
    original = await find_nearest(engine, filled, query)
    assert hits.records == original.records
    assert hits.distances == pytest.approx(original.distances, abs=2e-6)

    await export_collection(elsewhere, there, second, quiet)
    assert second.read_bytes()[:2] == b"\x1f\x8b"
    await store.delete_collection(engine, filled.id)
    back, _ = await import_collection(engine, second, quiet)
    assert back == filled
    after = await everything(engine, back)
    assert {id_: payload for id_, (payload, _) in after.items()} == {
        id_: payload for id_, (payload, _) in before.items()
    }
    for id_, (_, vectors) in after.items():
        assert vectors["visual"] == pytest.approx(before[id_][1]["visual"], abs=1e-6)
        assert vectors["tags"] == before[id_][1]["tags"]


async def test_an_existing_collection_is_not_touched_and_a_copy_gets_its_own_id(
    engine: Engine, filled: Collection, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    await export_collection(engine, filled, file, quiet)
    with pytest.raises(CollectionConflict):
        await import_collection(engine, file, quiet)
    with pytest.raises(NameTaken):
        await import_collection(engine, file, quiet, as_new=True)
    name = f"copy of {filled.name}"
    copy, _ = await import_collection(engine, file, quiet, as_new=True, name=name)
    assert copy.id != filled.id
    own = {"id": copy.id, "physical": copy.physical, "name": name}
    assert copy == msgspec.structs.replace(filled, **own)
    with pytest.raises(NameTaken):
        await import_collection(engine, file, quiet, as_new=True, name=f" {name}")
    await store.delete_collection(engine, copy.id)
    assert await listing.count_records(engine, filled, EVERYTHING) == COUNT


@pytest.mark.parametrize("cut", [1, 40, 9_000])
@pytest.mark.parametrize("name", ["export.jsonl", "export.jsonl.gz"])
async def test_a_file_that_is_cut_short_makes_nothing_visible(
    engine: Engine, elsewhere: Engine, filled: Collection, tmp_path: Path, cut: int, name: str
) -> None:
    file = tmp_path / name
    await export_collection(engine, filled, file, quiet)
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    if cut == 1 and not name.endswith(".gz"):
        return  # Only the newline is missing.
    with pytest.raises(ArchiveDamaged):
        await import_collection(elsewhere, file, quiet)
    with pytest.raises(CollectionNotFound):
        await CollectionCache(elsewhere).find(filled.id)
    file.write_bytes(whole)
    _, count = await import_collection(elsewhere, file, quiet)
    assert count == COUNT, "what was there is used, and completed"


async def test_an_interrupted_import_goes_on(
    engine: Engine, elsewhere: Engine, filled: Collection, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    await export_collection(engine, filled, file, quiet)

    def interrupt(_: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await import_collection(elsewhere, file, interrupt)
    with pytest.raises(CollectionNotFound):
        await CollectionCache(elsewhere).find(filled.id)
    _, count = await import_collection(elsewhere, file, quiet)
    assert count == COUNT


async def test_a_name_that_is_taken_during_an_import_stays_with_who_took_it(
    engine: Engine, elsewhere: Engine, filled: Collection, collection_of: Any, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    await export_collection(engine, filled, file, quiet)
    first: Collection = collection_of(name=filled.name)
    taking: list[asyncio.Task[None]] = []

    def take(_: int) -> None:
        if not taking:
            taking.append(asyncio.create_task(store.create_collection(elsewhere, first)))

    with pytest.raises(NameTaken):
        await import_collection(elsewhere, file, take)
    assert await CollectionCache(elsewhere).find(filled.name) == first
    # What has been read is not lost: the same call goes on under another name.
    there, count = await import_collection(elsewhere, file, quiet, name="another name")
    assert (there.id, there.name, count) == (filled.id, "another name", COUNT)


async def test_other_files_are_refused(elsewhere: Engine, tmp_path: Path) -> None:
    file = tmp_path / "other"
    for content in (
        b"",
        b"hello\n",
        b'{"format":"x","version":1,"collection":{}}\n',
        gzip.compress(b""),
    ):
        file.write_bytes(content)
        with pytest.raises(ArchiveDamaged):
            await import_collection(elsewhere, file, quiet)


async def test_an_interrupted_export_leaves_no_file_under_its_name(
    engine: Engine, filled: Collection, tmp_path: Path
) -> None:
    def interrupt(_: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await export_collection(engine, filled, tmp_path / "export.jsonl", interrupt)
    assert os.listdir(tmp_path) == []


async def test_both_vectors_go_there_and_back(
    engine: Engine, elsewhere: Engine, filled: Collection, tmp_path: Path
) -> None:
    """Also while the second one is being filled: its migration goes on at the other place."""
    both = await migration(engine, filled).begin()
    assert both.second_vector is not None
    await migration(engine, both).fill(both, both.second_vector.vector)
    file = tmp_path / "export.jsonl"
    await export_collection(engine, both, file, quiet)
    there, count = await import_collection(elsewhere, file, quiet)
    assert (there, count) == (both, COUNT)
    assert await CollectionCache(elsewhere).find(both.id) == both
    vectors = await read_vectors(elsewhere, second_vector.swapped(there), ["r7"])
    assert vectors["r7"] == pytest.approx(new_vector(7), abs=1e-5)

    done, _ = await migration(elsewhere, there).run()
    again = tmp_path / "again.jsonl"
    await export_collection(elsewhere, done, again, quiet)
    await store.delete_collection(engine, both.id)
    back, _ = await import_collection(engine, again, quiet)
    assert back == done
    hits = await find_nearest(engine, back, Query(vectors=(new_vector(7),), k=1))
    assert hits.records == [{"_id": "r7"}]
    former = await second_vector.switch_vectors(engine, back)
    hits = await find_nearest(engine, former, Query(vectors=(vector(7),), k=1))
    assert hits.records == [{"_id": "r7"}]


async def test_an_older_file_is_imported(
    engine: Engine, elsewhere: Engine, filled: Collection, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    await export_collection(engine, filled, file, quiet)
    header, *lines = file.read_bytes().splitlines(keepends=True)
    older = msgspec.json.decode(header) | {"version": 1}
    del older["collection"]["alternative"]
    file.write_bytes(msgspec.json.encode(older) + b"\n" + b"".join(lines))
    assert await import_collection(elsewhere, file, quiet) == (filled, COUNT)


async def test_what_is_written_meanwhile_is_in_the_file(
    engine: Engine, elsewhere: Engine, filled: Collection, writer: Writer, tmp_path: Path
) -> None:
    busy: Any = BusyEngine(engine)

    async def write() -> None:
        """Of the first page, which has been read, and of the last, which has not."""
        ids = [str(point.payload["_id"]) for point in await all_points(engine, filled)]
        await writer.delete(filled, [ids[0], ids[-1]], None)
        await writer.update(filled, [{"_id": ids[1], "price": -1}], None)
        await writer.insert(filled, [record(n) for n in range(COUNT, COUNT + 9)], embed, None)
        other = {"_id": ids[2], "_url": "image://777"}
        await writer.delete(filled, [ids[2]], None)
        await writer.insert(filled, [other], embed, None)

    busy.after_first_page = write
    file = tmp_path / "export.jsonl.gz"
    done = await export_collection(busy, filled, file, quiet)
    assert done.records == COUNT + 7
    assert done.late > 0
    assert done.settled
    assert await everything_of(engine, filled) == await everything_after(elsewhere, file)


async def test_writes_without_an_end_are_told(
    engine: Engine, filled: Collection, writer: Writer, tmp_path: Path
) -> None:
    busy: Any = BusyEngine(engine)

    async def write() -> None:
        await writer.update(filled, [{"_id": "r5", "price": -1}], None)

    busy.after_each_page = write
    done = await export_collection(busy, filled, tmp_path / "export.jsonl", quiet)
    assert (done.records, done.settled) == (COUNT, False)


async def test_settings_that_change_meanwhile_make_no_file(
    engine: Engine, filled: Collection, tmp_path: Path
) -> None:
    busy: Any = BusyEngine(engine)

    async def rename() -> None:
        other = msgspec.structs.replace(filled, name="other")
        await store.save_collection(engine, filled, other)

    busy.after_first_page = rename
    with pytest.raises(CollectionConflict, match="settings"):
        await export_collection(busy, filled, tmp_path / "export.jsonl", quiet)
    assert os.listdir(tmp_path) == []


async def test_a_file_that_exists_is_replaced_only_where_that_is_asked(
    engine: Engine, filled: Collection, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"mine")
    with pytest.raises(CollectionConflict, match="exists already"):
        await export_collection(engine, filled, file, quiet)
    assert file.read_bytes() == b"mine"
    await export_collection(engine, filled, file, quiet, force=True)
    assert file.read_bytes().startswith(b'{"format":"lookalike-export"')
    file.unlink()

    def appear(_: int) -> None:
        file.write_bytes(b"another's")

    with pytest.raises(CollectionConflict, match="exists already"):
        await export_collection(engine, filled, file, appear)
    assert file.read_bytes() == b"another's"
    assert os.listdir(tmp_path) == [file.name]


@pytest.mark.parametrize(
    ("field", "value"),
    [("capacity", 2**70), ("distance", "nearly"), ("dimension", None)],
)
async def test_a_file_of_a_collection_that_cannot_be_is_refused(
    engine: Engine, elsewhere: Engine, filled: Collection, tmp_path: Path, field: str, value: Any
) -> None:
    file = tmp_path / "export.jsonl"
    await export_collection(engine, filled, file, quiet)
    header, *lines = file.read_bytes().splitlines(keepends=True)
    changed = json.loads(header)
    changed["collection"][field] = value
    file.write_bytes(json.dumps(changed).encode() + b"\n" + b"".join(lines))
    with pytest.raises(ArchiveDamaged):
        await import_collection(elsewhere, file, quiet)
    assert await store.read_aliases(elsewhere) == {}
