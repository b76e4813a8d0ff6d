"""Pages by number are slices of the present; whoever follows them misses nothing that stays."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from lookalike.adapter.collections import ledger
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.errors import EngineFailed, FilterTooExpensive, InvalidRequest
from lookalike.adapter.records import listing, numbered_pages, reader_places
from lookalike.adapter.records.numbered_pages import Cursor, ListedPage, PageWanted
from lookalike.adapter.records.selection import EVERYTHING, Selection
from tests.engines.contract.subjects import Subject
from tests.shelf import Shelf

IDS = frozenset({"_id"})


async def page(
    shelf: Shelf, number: int, size: int, after: str | None = None, **options: Any
) -> ListedPage:
    return await numbered_pages.list_page(
        options.get("engine", shelf.engine),
        shelf.collection,
        options.get("selection", EVERYTHING),
        IDS,
        PageWanted(size, number, after),
    )


def ids(found: ListedPage) -> list[str]:
    return [record["_id"] for record in found.records]


async def walk(shelf: Shelf, size: int, **options: Any) -> list[list[str]]:
    """All pages in order, as a client that counts them gets them."""
    reader = Reader(shelf, size, **options)
    while not reader.done:
        await reader.read()
    return reader.pages


class Reader:
    """A client between two pages. It follows the numbers, or with `cursors` what `next` says."""

    def __init__(self, shelf: Shelf, size: int, *, cursors: bool = False, **options: Any) -> None:
        self.shelf, self.size, self.cursors, self.options = shelf, size, cursors, options
        self.pages: list[list[str]] = []
        self.after: str | None = None
        self.done = False

    @property
    def seen(self) -> list[str]:
        return [id_ for found in self.pages for id_ in found]

    async def read(self) -> list[str]:
        number = len(self.pages) + 1
        found = await page(self.shelf, number, self.size, self.after, **self.options)
        self.pages.append(ids(found))
        self.after = found.next if self.cursors else None
        self.done = found.next is None
        assert len(found.records) == self.size or self.done
        assert number < 1000
        return ids(found)


async def everything(shelf: Shelf, selection: Selection = EVERYTHING) -> list[str]:
    scanned = listing.scan_records(shelf.engine, shelf.collection, selection, IDS)
    return [entry.record["_id"] async for entries in scanned for entry in entries]


async def delete(shelf: Shelf, *gone: str) -> None:
    await shelf.writer.delete(shelf.collection, list(gone), IDS)


def numbers(count: int, prefix: str = "") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


# Of records that do not change


@pytest.mark.parametrize("count", [0, 1, 2, 30, 31])
async def test_pages_concatenated_are_everything(count: int, shelf: Shelf) -> None:
    if count:
        await shelf.put(*numbers(count))
    whole = await everything(shelf)
    assert sorted(whole) == sorted(numbers(count))
    for size in range(1, count + 3):
        for cursors in (False, True):
            pages = await walk(shelf, size, cursors=cursors)
            assert [id_ for found in pages for id_ in found] == whole
            assert all(len(found) == size for found in pages[:-1])
            assert pages[-1] or not whole  # no page after the last record


async def test_pages_of_what_a_filter_leaves(shelf: Shelf) -> None:
    await shelf.insert(*({"_id": str(n), "n": n % 3, "l": [n % 2] * (n % 4)} for n in range(60)))
    residual = Selection.of({"l": {"$size": 3}}, shelf.collection)
    plain = Selection.of({"n": {"$in": [0, 2]}}, shelf.collection)
    assert residual.residual is not None
    for selection, matching in (
        (residual, {str(n) for n in range(60) if n % 4 == 3}),
        (plain, {str(n) for n in range(60) if n % 3 != 1}),
    ):
        whole = await everything(shelf, selection)
        assert set(whole) == matching
        for size in (1, 4, 15, 40, 100):
            for cursors in (False, True):
                reader = Reader(shelf, size, cursors=cursors, selection=selection)
                while not reader.done:
                    await reader.read()
                assert reader.seen == whole
            last = len(reader.pages)
            for number in (last + 1, last, 1):
                found = await page(shelf, number, size, selection=selection)
                assert ids(found) == whole[size * (number - 1) : size * number]
                assert found.total == len(matching)


async def test_pages_in_any_order_from_any_process(shelf: Shelf, subject: Subject) -> None:
    engines = [await subject.connect() for _ in range(3)]
    for prefix in ("", "more "):
        await shelf.put(*numbers(40, prefix))
        whole = await everything(shelf)
        order = list(range(1, len(whole) // 6 + 3))
        random.Random(1).shuffle(order)
        found = await asyncio.gather(
            *(page(shelf, n, 6, engine=engines[n % 3]) for n in order), page(shelf, 10**30, 6)
        )
        for number, each in zip([*order, 10**6], found, strict=True):
            assert ids(each) == whole[6 * (number - 1) : 6 * number]
            assert (each.next is not None) == (6 * number < len(whole))
            assert each.total == len(whole)
    for engine in engines:
        await engine.close()


@pytest.mark.parametrize("at_once", [1, 3, 20])
async def test_a_position_is_found_in_steps(
    at_once: int, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far it is: the engine does nothing else while it passes over records."""
    monkeypatch.setattr(numbered_pages, "SKIPPED_AT_ONCE", at_once)
    monkeypatch.setattr(numbered_pages, "RECORDS_AT_ONCE", 2)
    await shelf.put(*numbers(20))
    whole = await everything(shelf)
    for number in range(7, 0, -1):
        assert ids(await page(shelf, number, 3)) == whole[3 * (number - 1) : 3 * number]


# Of records that change


@pytest.mark.parametrize("pages_before", range(7))
async def test_a_page_is_a_slice_of_what_is_there_now(pages_before: int, shelf: Shelf) -> None:
    """Whatever was read, in part or to the end, before there were more."""
    await shelf.put(*numbers(30))
    for number in range(1, pages_before + 1):
        await page(shelf, number, 5)
    await shelf.put(*numbers(30, "more "))
    whole = await everything(shelf)
    for number in (12, 3, 13, 1, 6, 7):
        found = await page(shelf, number, 5)
        assert ids(found) == whole[5 * (number - 1) : 5 * number]
        assert (found.next is not None) == (number < 12)


async def test_whoever_deletes_what_was_read_reads_everything_once(shelf: Shelf) -> None:
    await shelf.put(*numbers(47))
    whole = await everything(shelf)
    for cursors in (False, True):
        await shelf.insert(*({"_id": id_} for id_ in whole))
        reader = Reader(shelf, 10, cursors=cursors)
        while not reader.done:
            await delete(shelf, *await reader.read())
        assert reader.seen == whole
        assert await everything(shelf) == []


async def test_two_readers_with_deletions_between(shelf: Shelf, subject: Subject) -> None:
    """Each page from another process; the second reader begins after the first deletion."""
    other = await subject.connect()
    for cursors in (False, True):
        await shelf.insert(*({"_id": id_} for id_ in numbers(50)))
        whole = await everything(shelf)
        first, second = Reader(shelf, 10, cursors=cursors), Reader(shelf, 10, cursors=cursors)
        await delete(shelf, *await first.read())
        second.options = {"engine": other}
        await second.read()
        while not (first.done and second.done):
            for reader in (first, second):
                if not reader.done:
                    reader.options = {"engine": random.choice([other, shelf.engine])}
                    await reader.read()
            await delete(shelf, random.choice(first.seen))
        assert set(first.seen) == set(whole)
        assert set(whole[10:]) - set(second.seen) == set()
        if cursors:
            assert first.seen == whole
        await delete(shelf, *whole)
    await other.close()


async def test_pages_are_slices_again_once_their_readers_are_done(shelf: Shelf) -> None:
    await shelf.put(*numbers(60))
    for _ in range(3):
        assert len(await walk(shelf, 10)) == -(-len(await everything(shelf)) // 10)
        reader = Reader(shelf, 10, cursors=True)
        while not reader.done:
            await reader.read()
        gone = (await everything(shelf))[3:40:2]
        await delete(shelf, *gone)
        whole = await everything(shelf)
        for number in (2, 1, 3, 4):
            found = await page(shelf, number, 10)
            assert ids(found) == whole[10 * (number - 1) : 10 * number]
        await forget_readers(shelf.engine)


async def forget_readers(engine: Engine) -> None:
    notes = await ledger.find_notes(engine, [], 10_000)
    await ledger.delete_notes(engine, [id_ for id_, note in notes.items() if ledger.SEEN in note])


async def test_a_page_that_is_asked_for_again_begins_where_it_began(shelf: Shelf) -> None:
    """Its answer may have been lost, and the records on it are not what was read before."""
    await shelf.put(*numbers(40))
    whole = await everything(shelf)
    await page(shelf, 1, 10)
    await page(shelf, 2, 10)
    await delete(shelf, *whole[2:15])
    again = await page(shelf, 2, 10)
    assert ids(again)[:5] == whole[15:20]
    third = await page(shelf, 3, 10)
    assert ids(third)[0] == whole[20], "right for whoever had the first answer, and the second"


@pytest.mark.parametrize("counted", [0, 10**6])
@pytest.mark.parametrize("seed", range(4))
async def test_no_reader_misses_what_stays(
    seed: int, counted: int, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers of two sizes begin and go on at any time, while records come and go."""
    monkeypatch.setattr(numbered_pages, "ALWAYS_COUNTED", counted)
    chance = random.Random(seed)
    await shelf.put(*numbers(60, "stays "), *numbers(40, "0 "))
    readers: list[Reader] = []
    there, made = set(numbers(40, "0 ")), 0
    for _ in range(60):
        act = chance.choice(["begin", "read", "read", "read", "delete", "insert"])
        going = [reader for reader in readers if not reader.done]
        if act == "begin" or not going:
            readers.append(Reader(shelf, chance.choice([7, 20]), cursors=chance.random() < 0.3))
            await readers[-1].read()
        elif act == "read":
            await chance.choice(going).read()
        elif act == "delete" and there:
            gone = chance.sample(sorted(there), min(len(there), 15))
            there -= set(gone)
            await delete(shelf, *gone)
        else:
            made += 1
            new = numbers(10, f"{made} ")
            there |= set(new)
            await shelf.put(*new)
    for reader in readers:
        while not reader.done:
            await reader.read()
        assert set(numbers(60, "stays ")) <= set(reader.seen)
        if reader.cursors:
            assert len(reader.seen) == len(set(reader.seen))


async def test_cursors_miss_and_repeat_nothing_while_others_write(shelf: Shelf) -> None:
    untouched = numbers(120, "stays ")
    await shelf.put(*untouched, *numbers(60, "goes "))
    done = asyncio.Event()

    async def churn() -> None:
        for number in range(60):
            await delete(shelf, f"goes {number}")
            await shelf.put(f"comes {number}")
        done.set()

    churning = asyncio.create_task(churn())
    walks = 0
    while not done.is_set() or walks < 2:
        for size in (7, 50):
            for cursors in (True, False):
                found = [id_ for some in await walk(shelf, size, cursors=cursors) for id_ in some]
                assert len(found) == len(set(found)) or not cursors
                assert {id_ for id_ in found if id_.startswith("stays")} == set(untouched)
                walks += 1
    await churning


# Cursors and notes


async def test_what_is_no_cursor_is_refused(shelf: Shelf) -> None:
    await shelf.put(*numbers(5))
    cursor = (await page(shelf, 1, 2)).next
    assert cursor is not None
    assert Cursor.decode(cursor).encode() == cursor
    others = [cursor[:-1], cursor + "A", cursor + "=", cursor[1:], "x", "%00", "Ä", "A" * 5000]
    others.append(Cursor.encode(Cursor(b"short")))
    for other in ["", *others]:
        with pytest.raises(InvalidRequest) as refused:
            await page(shelf, 2, 2, other)
        assert refused.value.place == "after"


async def test_a_cursor_cannot_delete_another_note(shelf: Shelf) -> None:
    note = "00000000-0000-4000-8000-000000000000"
    await ledger.put_note(shelf.engine, note, {"kind": "name"})
    forged = Cursor(bytes(16), bytes.fromhex(note.replace("-", ""))).encode()
    await page(shelf, 2, 2, forged)
    assert await ledger.read_note(shelf.engine, note) == {"kind": "name"}
    await ledger.delete_notes(shelf.engine, [note])


async def places(shelf: Shelf) -> list[ledger.Note]:
    notes = await ledger.find_notes(shelf.engine, [], 10_000)
    return [note for note in notes.values() if ledger.SEEN in note]


async def test_readers_are_forgotten_and_bounded(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    await forget_readers(shelf.engine)
    await shelf.put(*numbers(30))
    whole = await everything(shelf)
    await delete(shelf, *ids(await page(shelf, 1, 10)))
    for _ in range(reader_places.MAX_READERS + 10):
        await page(shelf, 1, 10)
    assert len(await places(shelf)) == reader_places.MAX_READERS
    assert ids(await page(shelf, 2, 10)) == whole[10:20], "who has the most to miss is kept"
    now = time.time()
    later = now + reader_places.PATIENCE_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert ids(await page(shelf, 2, 10)) == whole[20:]
    assert ids(await page(shelf, 1, 10)) == whole[10:20]
    assert len(await places(shelf)) == 1


async def test_without_the_ledger_pages_are_slices(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files may be damaged; other collections are served."""
    await shelf.put(*numbers(30))
    whole = await everything(shelf)
    scroll, upsert = EmbeddedEngine.scroll, EmbeddedEngine.upsert

    def failing(method: Any) -> Any:
        async def call(self: EmbeddedEngine, name: str, *args: Any, **options: Any) -> Any:
            if name == ledger.LEDGER:
                raise EngineFailed("the files of the collection are damaged")
            return await method(self, name, *args, **options)

        return call

    monkeypatch.setattr(EmbeddedEngine, "scroll", failing(scroll))
    monkeypatch.setattr(EmbeddedEngine, "upsert", failing(upsert))
    assert [id_ for found in await walk(shelf, 7) for id_ in found] == whole
    assert [id_ for found in await walk(shelf, 7, cursors=True) for id_ in found] == whole


async def test_the_work_for_a_residual_is_bounded(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound no total, or an error, and never a short list."""
    await shelf.insert(*({"_id": str(n), "l": [n] * (n % 3)} for n in range(30)))
    selection = Selection.of({"l": {"$size": 2}}, shelf.collection)
    assert selection.residual is not None
    whole = await everything(shelf, selection)
    monkeypatch.setattr(numbered_pages, "RECORDS_AT_ONCE", 1)
    # A record has 20 characters and is put to one test: 6 of them and no more.
    monkeypatch.setattr("lookalike.adapter.records.selection.MAX_RESIDUAL_WORK", 6 * 220)
    for number, size in ((1, 100), (2, 3)):
        with pytest.raises(FilterTooExpensive):
            await page(shelf, number, size, selection=selection)
    for cursors in (False, True):
        reader = Reader(shelf, 2, cursors=cursors, selection=selection)
        while not reader.done:
            await reader.read()
        assert reader.seen == whole
    assert (await page(shelf, 1, 2, selection=selection)).total is None
