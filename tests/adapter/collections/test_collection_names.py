"""Which names are the same name, what is no name, and what a name with two collections answers."""

from __future__ import annotations

import uuid

import pytest

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.names import AmbiguousName, check_name, find_doubles, name_key
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.errors import CollectionConflict, CollectionNotFound, InvalidRequest
from tests.shelf import described


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("shop", "shop", True),
        ("shop", " shop\t", True),
        ("my shop", "my \u00a0 shop", True),
        ("Möbel", "Mo\u0308bel", True),
        ("shop", "Shop", False),
        ("my shop", "myshop", False),
        ("shop\u200b", "shop", True),
        ("my\u200b shop\x00", "my shop", True),
        ("my\u200bshop", "my shop", False),
    ],
)
def test_which_names_are_the_same(one: str, other: str, same: bool) -> None:
    assert (name_key(one) == name_key(other)) is same


@pytest.mark.parametrize(
    "name", [" ", "\u3000\n", "\u200b", "\x00\u2060 ", "7c1e0000-0000-4000-8000-000000000000"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_name(name)
    assert refused.value.place == "$.name"


async def test_a_name_of_several_is_ambiguous(engine: EmbeddedEngine) -> None:
    """Doubles that an older version has made."""
    name = f"double {uuid.uuid4()}"
    one, other = described(name=name), described(name=f" {name}")
    for made in (one, other):
        await store.create_collection(engine, made)
    cache = CollectionCache(engine)
    with pytest.raises(AmbiguousName) as refused:
        await cache.find(name)
    assert isinstance(refused.value, CollectionConflict)
    assert one.id in refused.value.text
    assert other.id in refused.value.text
    assert await cache.find(one.id) == one
    assert list(find_doubles(cache.all())[name]) == cache._lookup(name, None)


async def test_only_what_may_be_used_makes_a_name_ambiguous(engine: EmbeddedEngine) -> None:
    name = f"double {uuid.uuid4()}"
    made = [described(name=name) for _ in range(3)]
    for each in made:
        await store.create_collection(engine, each)
    cache = CollectionCache(engine)
    assert await cache.find(name, frozenset({made[1].id})) == made[1]
    with pytest.raises(AmbiguousName) as refused:
        await cache.find(name, frozenset(each.id for each in made[:2]))
    assert made[2].id not in refused.value.text
    with pytest.raises(CollectionNotFound):
        await cache.find(name, frozenset({store.new_collection_id()}))


async def test_a_double_that_was_renamed_elsewhere_is_no_double(engine: EmbeddedEngine) -> None:
    name = f"double {uuid.uuid4()}"
    one, other = described(name=name), described(name=name)
    for made in (one, other):
        await store.create_collection(engine, made)
    cache = CollectionCache(engine)
    await cache.refresh()
    renamed = described(id=other.id, physical=other.physical, name=f"other {name}")
    await store.save_collection(engine, other, renamed)
    assert await cache.find(name) == one
