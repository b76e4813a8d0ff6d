"""What an update makes of a record: pictures read again, fields removed, changes in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from msgspec import structs

from lookalike.adapter.collections.collection_settings import EmbedderIdentity
from lookalike.adapter.collections.second_vector import add_second_vector
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.errors import RecordRefused, Unavailable
from lookalike.adapter.point_layout import RESERVED_KEY, TAGS_VECTOR, VISUAL_VECTOR
from lookalike.adapter.records.batch_outcome import Updated
from lookalike.adapter.records.image_sources import Embedded, ImageSource
from lookalike.adapter.records.record_tags import tag_vector
from lookalike.adapter.records.updating import ReadImages
from lookalike.adapter.records.writer import Writer
from tests.adapter.records.test_writer import codes, point, stored
from tests.shelf import DIMENSION, Shelf, embed, vector, vector_of


class Reader:
    """Reads images for updates, and remembers which; a crop makes another image of one."""

    def __init__(self) -> None:
        self.asked: list[ImageSource] = []
        self.calls = 0
        self.images = ReadImages(partial(self._read, False), partial(self._read, True))

    async def _read(
        self, colors: bool, sources: Sequence[ImageSource]
    ) -> list[Embedded | RecordRefused]:
        self.calls += 1
        self.asked += sources
        found = await embed(sources)
        return [self._seen(*pair, colors) for pair in zip(sources, found, strict=True)]

    def _seen(
        self, source: ImageSource, one: Embedded | RecordRefused, colors: bool
    ) -> Embedded | RecordRefused:
        if isinstance(one, RecordRefused):
            return one
        vector_ = one.vector if source.crop is None else vector_of(f"{source}")
        return Embedded(vector_, f"hash of {source}", {"of": f"{source.url}"} if colors else None)


@pytest.fixture
def reader() -> Reader:
    return Reader()


async def update(shelf: Shelf, reader: Reader, *records: dict[str, Any]) -> Updated:
    return await shelf.writer.update(shelf.collection, records, None, read=reader.images)


async def visual(shelf: Shelf, id_: str) -> Any:
    vectors: Any = (await point(shelf, id_)).vector
    return vectors[VISUAL_VECTOR]


def near(row: list[float]) -> Any:
    norm = sum(number**2 for number in row) ** 0.5
    return pytest.approx([number / norm for number in row], abs=1e-6)


async def test_a_new_picture_changes_the_vector_with_the_record(
    shelf: Shelf, reader: Reader
) -> None:
    await shelf.insert({"_id": "a", "n": 1, "tags": ["x"]}, {"_id": "b"}, {"_id": "c"})
    outcome = await update(
        shelf,
        reader,
        {"_id": "a", "_base64": "other", "n": 2},
        {"_id": "b", "_url": "image://7"},
        {"_id": "c", "n": 3},
    )
    assert outcome.done == [
        {"_id": "a", "n": 2, "tags": ["x"]},
        {"_id": "b", "_url": "image://7"},
        {"_id": "c", "n": 3},
    ]
    assert await visual(shelf, "a") == near(vector_of("other"))
    assert await visual(shelf, "b") == near(vector(7))
    assert await visual(shelf, "c") == near(vector_of("c"))
    kept = await point(shelf, "a")
    assert kept.payload is not None
    assert kept.payload[RESERVED_KEY]["image"] == f"hash of {ImageSource(None, 'other')}"
    vectors: Any = kept.vector
    expected = tag_vector({"x": 1.0})
    assert expected is not None
    assert vectors[TAGS_VECTOR].indices == expected.indices
    assert reader.calls == 1, "one request to the embedder, which refuses all of it or none"


async def test_an_unchanged_url_is_not_fetched_again(shelf: Shelf, reader: Reader) -> None:
    """A daily feed sends everything again; only what is new costs anything."""
    await shelf.insert({"_id": "a", "_url": "image://1"}, {"_id": "b", "_url": "image://2"})
    before = await visual(shelf, "a")
    for _ in range(2):
        outcome = await update(
            shelf, reader, {"_id": "a", "_url": "image://1", "n": 1}, {"_id": "b", "_url": None}
        )
        assert outcome.refused == []
        await update(shelf, reader, {"_id": "b", "_url": "image://3"})
    assert [source.url for source in reader.asked] == ["image://3", "image://3"]
    assert await visual(shelf, "a") == before


async def test_an_unreadable_picture_leaves_its_record_alone(shelf: Shelf, reader: Reader) -> None:
    await shelf.insert({"_id": "a", "_url": "image://1"}, {"_id": "b"}, {"_id": "c"})
    outcome = await update(
        shelf,
        reader,
        {"_id": "a", "_url": "nowhere://1", "n": 1},
        {"_id": "b", "_base64": "broken", "n": 1},
        {"_id": "c", "_url": 5, "n": 1},
        {"_id": "c", "_base64": "new", "n": 2},
    )
    assert outcome.done == [{"_id": "c", "n": 2}]
    assert [(record["_id"], why.code) for record, why in outcome.refused] == [
        ("a", 504),
        ("b", 422),
        ("c", 400),
    ]
    assert await stored(shelf, "a") == {"_id": "a", "_url": "image://1"}
    assert await visual(shelf, "b") == near(vector_of("b"))
    assert await visual(shelf, "c") == near(vector_of("new"))
    assert outcome.missing == 0


async def test_changes_of_one_record_are_applied_in_order(shelf: Shelf, reader: Reader) -> None:
    """Each one stands for itself: one that is refused leaves what those before it have made."""
    await shelf.insert({"_id": "a", "_url": "image://1", "n": 0})
    outcome = await update(
        shelf,
        reader,
        {"_id": "a", "_url": "image://2", "n": 1},
        {"_id": "a", "_url": "nowhere://3", "n": 2},
        {"_id": "a", "_url": "image://4", "$unset": ["n"]},
        {"_id": "a", "m": 1},
        {"_id": "a", "_url": "nowhere://5", "m": 2},
    )
    assert outcome.done == [{"_id": "a", "_url": "image://4", "m": 1}]
    assert [record["_url"] for record, _ in outcome.refused] == ["nowhere://3", "nowhere://5"]
    assert await stored(shelf, "a") == {"_id": "a", "_url": "image://4", "m": 1}
    assert await visual(shelf, "a") == near(vector(4))


async def test_another_part_of_the_picture(shelf: Shelf, reader: Reader) -> None:
    box, other = [0.0, 0.0, 0.5, 0.5], [0.1234567890123456, 0.0, 1.0, 1.0]

    async def seen() -> list[ImageSource]:
        asked, reader.asked = reader.asked, []
        return asked

    await shelf.insert({"_id": "a", "_url": "image://1", "_base64": None}, {"_id": "b"})
    await update(shelf, reader, {"_id": "a", "_crop": box})
    assert await seen() == [ImageSource("image://1", None, (0.0, 0.0, 0.5, 0.5))]
    assert "_crop" not in await stored(shelf, "a")
    for same in ({"_crop": box}, {"_url": "image://1"}, {"n": 1}):
        await update(shelf, reader, {"_id": "a", **same})
    assert await seen() == []
    for _ in range(2):
        await update(shelf, reader, {"_id": "a", "_crop": other})
    assert len(await seen()) == 1
    await update(shelf, reader, {"_id": "a", "_crop": None})
    assert await seen() == [ImageSource("image://1", None)]
    assert await visual(shelf, "a") == near(vector(1))
    await update(shelf, reader, {"_id": "a", "_url": "image://2", "_crop": box})
    await update(shelf, reader, {"_id": "a", "$unset": ["_crop"]})
    await update(shelf, reader, {"_id": "a", "_crop": other}, {"_id": "a", "_url": "image://3"})
    assert [(s.url, s.crop and s.crop[2]) for s in await seen()] == [
        ("image://2", 0.5),
        ("image://2", None),
        ("image://2", 1.0),
        ("image://3", None),
    ]
    outcome = await update(shelf, reader, {"_id": "b", "_crop": box}, {"_id": "b", "_crop": [1]})
    assert [why.code for _, why in outcome.refused] == [400, 400]


async def test_colours_that_a_record_has_are_those_of_its_new_picture(
    shelf: Shelf, reader: Reader
) -> None:
    await shelf.insert(
        {"_id": "a", "_dominant_colors": "old"}, {"_id": "b"}, {"_id": "c", "_dominant_colors": 1}
    )
    url = "image://9"
    outcome = await update(
        shelf,
        reader,
        {"_id": "b", "_url": url},
        {"_id": "a", "_url": url},
        {"_id": "c", "_url": url, "_dominant_colors": "mine"},
    )
    assert outcome.done == [
        {"_id": "b", "_url": url},
        {"_id": "a", "_url": url, "_dominant_colors": {"of": url}},
        {"_id": "c", "_url": url, "_dominant_colors": "mine"},
    ]
    assert len(reader.asked) == 1


async def test_both_vectors_are_of_the_new_picture(shelf: Shelf, reader: Reader) -> None:
    await shelf.insert({"_id": "a", "tags": ["x"]})
    identity = EmbedderIdentity("second", "1", DIMENSION, "cosine")
    both = await add_second_vector(shelf.engine, shelf.collection, identity)
    shelf.cache.put(both)
    shelf.collection = both
    assert both.second_vector is not None
    name = both.second_vector.vector
    unreadable = False

    async def embed_second(_: Any, sources: Sequence[ImageSource]) -> list[list[float] | None]:
        return [None if unreadable else vector_of(f"second {s.base64}") for s in sources]

    shelf.writer = Writer(shelf.engine, shelf.cache, embed_second)

    async def vectors() -> Any:
        return (await point(shelf, "a")).vector

    await update(shelf, reader, {"_id": "a", "_base64": "new"})
    assert (await vectors())[name] == near(vector_of("second new"))
    await update(shelf, reader, {"_id": "a", "tags": ["y"]})
    assert (await vectors())[name] == near(vector_of("second new")), "tags leave both alone"
    unreadable = True
    await update(shelf, reader, {"_id": "a", "_base64": "newer"})
    assert name not in await vectors(), "never the former picture's: its migration fills it"
    assert (await vectors())[VISUAL_VECTOR] == near(vector_of("newer"))
    await update(shelf, reader, {"_id": "a", "tags": []})
    assert (await vectors()).keys() == {VISUAL_VECTOR}


async def test_without_reading_the_answer_names_what_was_not_read(shelf: Shelf) -> None:
    await shelf.insert(
        {"_id": "a", "_url": "image://1", "_base64": "a"}, {"_id": "b"}, {"_id": "c"}
    )
    outcome = await shelf.writer.update(
        shelf.collection,
        [
            {"_id": "a", "_url": "image://2"},
            {"_id": "b", "n": 1, "_crop": [0, 0, 1, 1]},
            {"_id": "c", "n": 1},
            {"_id": "unknown", "_base64": "x"},
        ],
        None,
    )
    assert outcome.unread == ["a", "b"]
    assert outcome.missing == 1
    assert await stored(shelf, "a") == {"_id": "a", "_url": "image://2"}
    assert await visual(shelf, "a") == near(vector_of("a"))


@pytest.mark.parametrize(
    "named", [["b", "c.d", "$e", "absent"], {"b": "", "c.d": 1, "$e": None, "absent": ""}]
)
async def test_fields_are_removed(named: Any, shelf: Shelf, reader: Reader) -> None:
    kept: dict[str, Any] = {"_id": "a", "x": {"y": 1}, "tags": ["t"]}
    await shelf.insert(kept | {"b": 1, "c.d": 2, "$e": 3})
    outcome = await update(shelf, reader, {"_id": "a", "$unset": named})
    assert outcome.done == [kept]
    assert await stored(shelf, "a") == kept
    assert (await update(shelf, reader, {"_id": "a", "$unset": named})).done == [kept]
    await update(shelf, reader, {"_id": "a", "$unset": None}, {"_id": "a", "$unset": ["tags"]})
    assert await stored(shelf, "a") == {"_id": "a", "x": {"y": 1}}
    assert TAGS_VECTOR not in (await point(shelf, "a")).vector  # type: ignore[operator]
    assert reader.asked == []


REFUSED: dict[str, dict[str, Any]] = {
    "_id": {"$unset": ["_id"]},
    RESERVED_KEY: {"$unset": {RESERVED_KEY: ""}},
    "_base64": {"$unset": ["_base64"]},
    "n": {"n": 1, "$unset": ["n"]},
    "$unset": {"$unset": "n"},
    "$unset must": {"$unset": [1]},
    "set x": {"$unset": ["x.y"]},
    "$set": {"$set": {"n": 1}},
    "$inc": {"n": 5, "$inc": {"n": 1}},
    "$remove": {"$remove": ["n"]},
}


@pytest.mark.parametrize("named", REFUSED)
async def test_what_an_update_refuses(named: str, shelf: Shelf, reader: Reader) -> None:
    record: dict[str, Any] = {"_id": "a", "n": 0, "x": {"y": 1}}
    await shelf.insert(record, {"_id": "b"})
    outcome = await update(shelf, reader, {"_id": "a"} | REFUSED[named], {"_id": "b", "n": 1})
    ((_, why),) = outcome.refused
    assert why.code == 400
    assert named in why.text
    assert outcome.done == [{"_id": "b", "n": 1}]
    assert await stored(shelf, "a") == record


async def test_a_field_that_was_inserted_with_a_dollar_is_a_field(
    shelf: Shelf, reader: Reader
) -> None:
    await shelf.insert({"_id": "a", "$price": 1})
    assert (await update(shelf, reader, {"_id": "a", "$price": 2})).done == [
        {"_id": "a", "$price": 2}
    ]
    outcome = await shelf.insert({"_id": "b", "$unset": ["x"]})
    assert codes(outcome) == {"b": 400}


async def test_too_many_pictures_change_nothing(shelf: Shelf) -> None:
    async def full(_: Any) -> Any:
        raise Unavailable("later")

    await shelf.insert({"_id": "a"}, {"_id": "b"})
    records: list[dict[str, Any]] = [{"_id": "a", "n": 1}, {"_id": "b", "_base64": "x"}]
    with pytest.raises(Unavailable):
        await shelf.writer.update(shelf.collection, records, None, read=ReadImages(full, full))
    assert await stored(shelf, "a") == {"_id": "a"}


async def test_a_picture_that_arrives_late_undoes_nothing(shelf: Shelf, reader: Reader) -> None:
    """While it is fetched, another process changes the record; both changes are in it."""
    await shelf.insert({"_id": "a", "tags": ["old"]})
    reads: list[Any] = []

    async def slowly(sources: Any) -> Any:
        reads.append(sources)
        await update(shelf, reader, {"_id": "a", "meanwhile": True, "tags": ["new"]})
        return await embed(sources)

    await shelf.writer.update(
        shelf.collection,
        [{"_id": "a", "_base64": "x", "n": 1}],
        None,
        read=ReadImages(slowly, slowly),
    )
    assert await stored(shelf, "a") == {"_id": "a", "tags": ["new"], "meanwhile": True, "n": 1}
    assert await visual(shelf, "a") == near(vector_of("x"))
    assert len(reads) == 1, "what was read is not read again"


async def test_readers_see_a_record_with_its_own_vector(
    supervisor: Supervisor, shelf: Shelf
) -> None:
    """Four processes change picture and record together, and readers look all the time."""
    engines = [await EmbeddedEngine.connect(supervisor.socket_path) for _ in range(4)]
    shelves = [Shelf(engine, shelf.collection) for engine in engines]
    await shelf.insert({"_id": "a", "_url": "image://0", "_base64": None, "tags": ["0"]})
    finished = False

    async def change(one: Shelf, number: int) -> None:
        for round_ in range(8):
            image = f"image://{number * 10 + round_}"
            await update(one, Reader(), {"_id": "a", "_url": image, "tags": [image]})

    async def look() -> int:
        looks = 0
        while not finished:
            kept = await point(shelf, "a")
            payload, vectors = kept.payload, kept.vector
            assert payload is not None
            assert isinstance(vectors, dict)
            url = payload["_url"]
            assert vectors[VISUAL_VECTOR] == near(vector(int(url.removeprefix("image://"))))
            expected = tag_vector(dict.fromkeys(payload["tags"], 1.0))
            assert expected is not None
            tags: Any = vectors[TAGS_VECTOR]
            assert tags.indices == expected.indices
            looks += 1
        return looks

    looking = asyncio.create_task(look())
    await asyncio.gather(*(change(one, number) for number, one in enumerate(shelves)))
    finished = True
    assert await looking > 10
    for engine in engines:
        await engine.close()


async def test_a_replaced_embedder_refuses_the_whole_update(shelf: Shelf, reader: Reader) -> None:
    await shelf.insert({"_id": "a"})
    shelf.cache.put(structs.replace(shelf.collection, vector="another"))
    with pytest.raises(Unavailable):
        await update(shelf, reader, {"_id": "a", "_base64": "x"})
