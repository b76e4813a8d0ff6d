"""The port: a collection gets vectors of the embedder that made it, or says why not."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from PIL import Image

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import (
    CollectionConflict,
    EmbedderFailed,
    InvalidRequest,
    RecordRefused,
    Unavailable,
)
from lookalike.adapter.records.image_sources import Embedded, ImageSource
from lookalike.embedders.embedder_errors import EmbedderUnreachable
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.reader import ImageReader
from lookalike.embedders.registry import GROUP, Registry
from lookalike.embedding import Embedding
from tests.embedders.plugins import Shade
from tests.shelf import described

PLUGINS = {"shade": "load", "failing": "load_failing"}


class NewerShade(Shade):
    name = "newer"
    revision = "3"
    former_revisions = ("2", "1")


def load_newer(_: Path) -> Shade:
    return NewerShade()


def load_away(_: Path) -> Shade:
    raise EmbedderUnreachable("the embedding server does not answer")


@pytest.fixture
async def embedding(tmp_path: Path) -> AsyncIterator[Embedding]:
    points = [
        EntryPoint(name, f"tests.embedders.plugins:{function}", GROUP)
        for name, function in PLUGINS.items()
    ]
    points += [EntryPoint(name, f"{__name__}:load_{name}", GROUP) for name in ("away", "newer")]
    port = Embedding(Registry(tmp_path, points=points), ImageReader(ImageSettings()))
    yield port
    await port.close()


def of(embedder: str, revision: str = "1") -> Collection:
    return described(embedder=embedder, revision=revision, dimension=3, distance="euclid")


def source(red: int) -> ImageSource:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 0, 0)).save(file, "PNG")
    return ImageSource(None, base64.b64encode(file.getvalue()).decode())


UNREADABLE = ImageSource(None, "no image")


async def test_each_image_gets_its_vector_or_its_reason(embedding: Embedding) -> None:
    found = await embedding.embed(of("shade"), [source(7), UNREADABLE, source(9)], colors=True)
    first, refused, last = found
    assert isinstance(first, Embedded)
    assert isinstance(last, Embedded)
    assert (first.vector, last.vector) == ([7, 0, 0], [9, 0, 0])
    assert isinstance(refused, RecordRefused)
    assert refused.code == 422
    assert first.dominant_colors is not None
    assert first.dominant_colors["percentages"] == [100.0]


async def test_vectors_of_two_models_never_meet(embedding: Embedding) -> None:
    for collection in (of("shade", "2"), of("gone")):
        with pytest.raises(CollectionConflict):
            await embedding.embed(collection, [source(7)])


async def test_former_revisions_are_compared_and_named(embedding: Embedding) -> None:
    for revision, newer in (("3", None), ("2", True), ("1", True), ("0", False)):
        collection = of("newer", revision)
        found = await embedding.find_newer_revision(collection)
        assert found == (None if newer is None else ("3", newer))
        if newer is False:
            with pytest.raises(CollectionConflict, match=r"migrate up .* --embedder newer"):
                await embedding.embed(collection, [source(7)])
        else:
            (embedded,) = await embedding.embed(collection, [source(7)])
            assert isinstance(embedded, Embedded)
    with pytest.raises(InvalidRequest):
        await embedding.find_newer_revision(of("gone"))


async def test_a_fault_of_the_embedder_says_whether_a_retry_helps(embedding: Embedding) -> None:
    for name, error in (("failing", EmbedderFailed), ("away", Unavailable)):
        with pytest.raises(error):
            await embedding.embed(of(name), [source(7)])
        with pytest.raises(error):
            await embedding.embed_text(of(name), "red", "$")
        with pytest.raises(error):
            await embedding.identify_embedder(name, "$.embedder")


async def test_an_unknown_embedder_is_a_fault_of_the_request(embedding: Embedding) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await embedding.identify_embedder("nobody's", "$.embedder")
    assert refusal.value.place == "$.embedder"
    with pytest.raises(InvalidRequest):
        await embedding.embed_with("nobody's", [source(7)])


async def test_an_embedder_without_texts_says_so(embedding: Embedding) -> None:
    with pytest.raises(InvalidRequest, match="knows pictures only"):
        await embedding.embed_text(of("shade"), "red", "$")


async def test_a_second_vector_that_cannot_be_made_keeps_no_record_out(
    embedding: Embedding, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [source(7), UNREADABLE]
    assert await embedding.embed_second(of("shade"), sources) == [[7, 0, 0], None]
    with caplog.at_level(logging.WARNING):
        assert await embedding.embed_second(of("gone"), sources) == [None, None]
    assert "inserted without the vector of gone" in caplog.text
