"""A name is given once, on every engine, however many processes ask and whatever dies between."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest
from msgspec import structs

from lookalike.adapter.collections import names, store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import (
    Collection,
    CollectionChange,
    CollectionSettings,
    EmbedderIdentity,
)
from lookalike.adapter.collections.names import NameTaken
from lookalike.adapter.collections.service import CollectionService
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import EngineFailed, EngineUnavailable
from tests.engines.contract.subjects import Subject


class OneEmbedder:
    """The part of the port that making a collection needs."""

    async def identify_embedder(self, name: str, place: str) -> EmbedderIdentity:
        return EmbedderIdentity(embedder=name, revision="1", dimension=4, distance="cosine")


def process(engine: Engine) -> CollectionService:
    """The collections as one more process sees them."""
    return CollectionService(engine, CollectionCache(engine), OneEmbedder())


def new_name() -> str:
    return f"name {uuid.uuid4()}"


def wish(name: str) -> CollectionSettings:
    return CollectionSettings(name=name)


def renaming(name: str) -> CollectionChange:
    return CollectionChange(name=name)  # type: ignore[call-arg]


async def having(engine: Engine, name: str) -> list[Collection]:
    return [c for c in await store.read_all(engine) if c.name == name]


async def test_of_many_processes_one_makes_a_collection_of_a_name(subject: Subject) -> None:
    engines = [await subject.connect() for _ in range(4)]
    for _ in range(3):
        name = new_name()
        answers: list[Any] = await asyncio.gather(
            *(process(engine).create(wish(name)) for engine in engines * 2), return_exceptions=True
        )
        made = [answer for answer in answers if isinstance(answer, Collection)]
        assert len(made) == 1
        assert [type(answer) for answer in answers if answer not in made] == [NameTaken] * 7
        assert await having(engines[0], name) == made
    for engine in engines:
        await engine.close()


async def test_of_many_renamings_to_a_name_one_is_done(engine: Engine) -> None:
    service = process(engine)
    olds = [await service.create(wish(new_name())) for _ in range(4)]
    name = new_name()
    answers = await asyncio.gather(
        *(process(engine).change(old, renaming(name)) for old in olds), return_exceptions=True
    )
    assert sorted(isinstance(answer, NameTaken) for answer in answers) == [False, True, True, True]
    assert len(await having(engine, name)) == 1
    # The three keep their names, and the name of the fourth is free.
    for old in olds:
        kept = await having(engine, old.name)
        if not kept:
            assert (await service.create(wish(old.name))).name == old.name
        assert len(await having(engine, old.name)) == 1


async def test_a_name_is_free_once_its_collection_is_gone(engine: Engine) -> None:
    service, name = process(engine), new_name()
    for _ in range(3):
        made = await service.create(wish(name))
        with pytest.raises(NameTaken):
            await process(engine).create(wish(name))
        await service.delete(made, made.id)


async def test_a_collection_that_never_claimed_its_name_keeps_it(
    engine: Engine, collection: Collection
) -> None:
    """One of an older version, or restored from a snapshot."""
    service = process(engine)
    with pytest.raises(NameTaken):
        await service.create(wish(collection.name))
    other = await service.create(wish(new_name()))
    with pytest.raises(NameTaken):
        await service.change(other, renaming(collection.name))
    assert (await service.change(collection, renaming(collection.name))).name == collection.name


async def test_what_a_dead_process_has_claimed_is_not_lost(
    engine: Engine, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the collection was made, and between the steps of a renaming."""
    service = process(engine)
    never_made, never_renamed = new_name(), new_name()
    await names.claim_name(engine, never_made, store.new_collection_id())
    await names.claim_name(engine, never_renamed, collection.id)
    for name in (never_made, never_renamed):
        with pytest.raises(NameTaken):  # its process may still be at it
            await service.create(wish(name))
    # The collection itself may go on where it was interrupted, at once.
    assert (await service.change(collection, renaming(never_renamed))).name == never_renamed
    await service.change(collection, renaming(collection.name))
    await names.release_name(engine, never_renamed, collection.id)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: 0)
        await names.claim_name(engine, never_renamed, collection.id)
    for name in (never_made, never_renamed):
        answers = await asyncio.gather(
            *(process(engine).create(wish(name)) for _ in range(4)), return_exceptions=True
        )
        made = [answer for answer in answers if isinstance(answer, Collection)]
        assert made == await having(engine, name)
        assert len(made) == (name == never_renamed), "the other claim still holds"


@pytest.mark.parametrize("error", [EngineFailed, EngineUnavailable])
async def test_a_creation_that_fails_leaves_its_name(
    error: type[Exception], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error("no")

    service, name = process(engine), new_name()
    with monkeypatch.context() as patch:
        patch.setattr(store, "create_collection", fail)
        with pytest.raises(error):
            await service.create(wish(name))
    if error is EngineUnavailable:  # perhaps it was made: the name is nobody else's for a while
        with pytest.raises(NameTaken):
            await service.create(wish(name))
        monkeypatch.setattr(names, "CLAIM_SECONDS", -1)
    assert (await service.create(wish(name))).name == name


async def test_a_late_release_does_not_touch_the_next_claim(
    engine: Engine, collection: Collection
) -> None:
    name = new_name()
    await names.claim_name(engine, name, collection.id)
    await names.release_name(engine, name, collection.id)
    heir = structs.replace(collection, id=store.new_collection_id())
    await names.claim_name(engine, name, heir.id)
    await names.release_name(engine, name, collection.id)
    with pytest.raises(NameTaken):
        await names.claim_name(engine, name, collection.id)
