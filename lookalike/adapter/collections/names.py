"""A name means one collection: who has it is decided in one step, in the engine.

Whoever makes or renames a collection first claims the name: a note in the ledger whose id follows
from the name, so that of any number of processes one writes it. The note decides only who comes
first. Who has a name is told by the settings of the collections, so a collection without a note (of
an older version, or restored from a snapshot) keeps its name too, and a claim of a process that
died lapses: no name is lost for ever.
"""

from __future__ import annotations

import contextlib
import functools
import time
import unicodedata
import uuid
from collections.abc import AsyncIterator, Iterable

from lookalike.adapter.collections import ledger, store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import (
    CollectionConflict,
    DiskFull,
    InvalidRequest,
    LookalikeError,
    Unavailable,
)

CLAIM_SECONDS = 600
"""A claim is younger than this while the collection is being made or renamed, which takes less: so
long is nobody's what a process that died has claimed."""
_NAMESPACE = uuid.UUID("0b7c1d0e-5a3f-5d86-9b51-2f4f0c6a7d11")


class NameTaken(CollectionConflict):
    default_text = "A collection of this name exists, or is being made."


class AmbiguousName(CollectionConflict):
    """Several collections have the name; `ids` are those that the asker may know of."""

    def __init__(self, ids: Iterable[str]) -> None:
        listed = ", ".join(sorted(ids))
        super().__init__(f"Several collections have this name, use an id instead: {listed}.")


@functools.lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """Two names are the same name if their keys are equal.

    Whitespace counts as one space between words, letters are composed (NFC), and characters that
    are not seen (controls, zero-width ones) do not count: what looks the same is the same. Upper
    and lower case are different letters.
    """
    seen = "".join(c for c in name if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf"))
    return unicodedata.normalize("NFC", " ".join(seen.split()))


def check_name(name: str) -> None:
    """Raises InvalidRequest for a blank name, and for one that would be read as an id."""
    if not name_key(name):
        raise InvalidRequest("A name needs a visible character", place="$.name")
    if store.COLLECTION_ID.fullmatch(name_key(name)):
        raise InvalidRequest("A name must not have the form of an id", place="$.name")


def find_doubles(collections: Iterable[Collection]) -> dict[str, list[Collection]]:
    """Name -> the collections that share it, where there are several."""
    by_name: dict[str, list[Collection]] = {}
    for collection in collections:
        by_name.setdefault(name_key(collection.name), []).append(collection)
    return {name: sharing for name, sharing in by_name.items() if len(sharing) > 1}


async def refuse_taken(engine: Engine, name: str, collection_id: str) -> None:
    """Raises NameTaken where another collection has the name."""
    for other in await store.read_all(engine):
        if other.id != collection_id and name_key(other.name) == name_key(name):
            raise NameTaken


@contextlib.asynccontextmanager
async def claimed(engine: Engine, name: str, collection_id: str) -> AsyncIterator[None]:
    """The name is the collection's; it is given up again if what is done with it fails."""
    await claim_name(engine, name, collection_id)
    try:
        yield
    except LookalikeError as error:
        # Where the engine is not available nobody knows what arrived; if nothing did, the claim
        # lapses.
        if isinstance(error, DiskFull) or not isinstance(error, Unavailable):
            await release_name(engine, name, collection_id)
        raise


async def claim_name(engine: Engine, name: str, collection_id: str) -> None:
    """From now on nobody else can take the name. Raises NameTaken."""
    # Before the note is read: a claim that has lapsed counts for nothing only if its collection
    # does not have the name by now.
    await refuse_taken(engine, name, collection_id)
    id_, wanted = _note_id(name), _note(name, collection_id)
    await ledger.put_note(engine, id_, wanted, only_new=True)
    kept = await ledger.read_note(engine, id_) or {}
    if kept.get("collection") == collection_id or _has_lapsed(kept):
        await ledger.replace_note(engine, id_, kept.get(ledger.TOKEN), wanted)
        kept = await ledger.read_note(engine, id_) or {}
    if kept.get("collection") != collection_id:
        raise NameTaken


async def release_name(engine: Engine, name: str, collection_id: str) -> None:
    """Gives the name up, if it is the collection's."""
    id_ = _note_id(name)
    kept = await ledger.read_note(engine, id_)
    if kept is not None and kept.get("collection") == collection_id:
        await ledger.delete_note(engine, id_, kept.get(ledger.TOKEN))


def _note_id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name_key(name)))


def _note(name: str, collection_id: str) -> ledger.Note:
    return {
        "kind": "name",
        "name": name_key(name),
        "collection": collection_id,
        "since": int(time.time()),
        ledger.TOKEN: uuid.uuid4().hex,
    }


def _has_lapsed(note: ledger.Note) -> bool:
    return time.time() - float(note.get("since", 0)) > CLAIM_SECONDS
