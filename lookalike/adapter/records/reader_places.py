"""Where the readers of a listing are who follow its pages by number.

A page number does not say who asks. Of 30 records, ten to a page, a reader has read page 1; then
its ten records are deleted. Page 2 of the 20 that are left are the last ten, and the reader would
never see the ten before them. No order of the records helps: of 20 records page 2 has ten.

So a page leaves a note in the ledger, which all processes share: up to where its reader has come.
The page after it begins there, or at its position if that is earlier, so that records may come
twice and none is missed. A note moves on with its reader, goes with the last page, and is forgotten
after `PATIENCE_SECONDS`; where there is none, a page is the slice at its position and nothing else.

Notes know no reader either. If several have read the same page, the next one begins where the first
of them needs it, and of their notes the furthest moves on: the others are safe with what is left.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence

import msgspec
from qdrant_client import models

from lookalike.adapter.collections import ledger
from lookalike.adapter.engines.base import Engine

PATIENCE_SECONDS = 600
"""The most that a reader takes from one page to the next."""
MAX_READERS = 64
"""Of one listing, at the same time."""

_FIND_AT_ONCE = 1000


class Place(msgspec.Struct, frozen=True):
    """A reader has read `page`, from the record at `begin` up to the one at `end`, which is not on
    it any more. Both are point ids; the empty one stands before all."""

    id: str
    topic: str
    page: int
    begin: str
    end: str
    total: int
    """How many records the listing had."""
    seen: int

    def begin_of(self, page: int) -> str | None:
        """Where `page` begins for this reader, who may also ask for the same page again."""
        return {self.page + 1: self.end, self.page: self.begin}.get(page)


async def read_places(engine: Engine, topic: str) -> list[Place]:
    notes = await ledger.find_notes(engine, [ledger.equals(ledger.TOPIC, topic)], _FIND_AT_ONCE)
    places = [msgspec.convert({"id": id_, **note}, Place) for id_, note in notes.items()]
    oldest = _oldest()
    return [place for place in places if place.seen >= oldest]


async def move_on(
    engine: Engine, places: Sequence[Place], at: Place, *, last: bool
) -> Place | None:
    """Notes that a reader has come to the end of the page `at`; the place that stands for it.

    `places` are those of the listing before, `last`: there is nothing after this page.
    """
    mine = _furthest(place for place in places if place.page == at.page - 1)
    if last:
        if mine is not None:
            await ledger.delete_notes(engine, [mine.id])
        return None
    if mine is None and len(places) >= MAX_READERS:
        # One place must do for several.
        mine = _furthest(place for place in places if place.page == at.page)
        if mine is not None:
            at = msgspec.structs.replace(at, end=min(at.end, mine.end))
    if mine is None:
        await _make_room(engine, places)
        mine = at
    moved = msgspec.structs.replace(at, id=mine.id)
    note = msgspec.to_builtins(moved)
    await ledger.put_note(engine, note.pop("id"), note)
    return moved


async def forget_place(engine: Engine, topic: str, id_: str, end: str) -> None:
    """Forgets the place of a reader who goes on from `end` without it.

    Unless it has moved on: then it stands for another reader by now.
    """
    note = await ledger.read_note(engine, id_)
    if note is not None and (note.get(ledger.TOPIC), note.get("end")) == (topic, end):
        await ledger.delete_notes(engine, [id_])


def new_place(topic: str, page: int, begin: str, end: str, total: int) -> Place:
    return Place(str(uuid.uuid4()), topic, page, begin, end, total, int(time.time()))


def _furthest(places: Iterable[Place]) -> Place | None:
    return max(places, key=lambda place: place.end, default=None)


async def _make_room(engine: Engine, places: Sequence[Place]) -> None:
    """Forgets whoever has left, in any listing, and in this one who was silent longest."""
    silent = models.FieldCondition(key=ledger.SEEN, range=models.Range(lt=_oldest()))
    gone = list(await ledger.find_notes(engine, [silent], _FIND_AT_ONCE))
    if len(places) >= MAX_READERS:
        gone.append(min(places, key=lambda place: place.seen).id)
    await ledger.delete_notes(engine, gone)


def _oldest() -> int:
    return int(time.time()) - PATIENCE_SECONDS
