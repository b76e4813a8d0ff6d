"""Plug-ins by name: found, loaded once, and refused with a reason when they are broken."""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from PIL import Image

from lookalike.adapter.engines.embedded import messages
from lookalike.embedders import embedder_settings
from lookalike.embedders.embedder_errors import EmbedderBroken, EmbedderClosed, UnknownEmbedder
from lookalike.embedders.protocol import Embedder, fingerprint
from lookalike.embedders.registry import GROUP, Registry

from . import plugins


def registry(folder: Path, **targets: str) -> Registry:
    points = [
        EntryPoint(name, f"{plugins.__name__}:{target}", GROUP) for name, target in targets.items()
    ]
    return Registry(folder, points=points)


@pytest.mark.parametrize(
    ("name", "dimension", "distance"),
    [
        ("lite0", 1280, "cosine"),
        ("phash", 128, "manhattan"),
        ("colors", 128, "cosine"),
        ("product", 512, "cosine"),
        ("lite0-384", 384, "cosine"),
    ],
)
async def test_the_bundled_embedders_are_installed(
    cache_folder: Path, name: str, dimension: int, distance: str
) -> None:
    embedders = Registry(cache_folder)
    embedder = await embedders.get(name)
    assert (embedder.name, embedder.dimension, embedder.distance) == (name, dimension, distance)
    assert not embedder.has_text
    image = Image.new("RGB", (640, 480), "red")
    assert (await embedder.embed_image(image)).shape == (dimension,)
    await embedders.close()


async def test_loaded_once_however_many_ask(tmp_path: Path) -> None:
    plugins.LOADED.clear()
    embedders = registry(tmp_path, shade="load")
    assert plugins.LOADED == []
    impatient = asyncio.create_task(embedders.get("shade"))
    await asyncio.sleep(0)  # in which it begins to wait
    impatient.cancel()
    several = await asyncio.gather(*(embedders.get("shade") for _ in range(5)))
    assert len(set(map(id, several))) == 1
    assert [str(tmp_path)] == plugins.LOADED
    assert isinstance(plugins.Shade(), Embedder)
    await embedders.close()
    with pytest.raises(EmbedderClosed):
        await embedders.get("shade")


async def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownEmbedder, match="installed are: half, shade"):
        await registry(tmp_path, shade="load", half="load_half").get("clip")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("load_half", r"`name`.*`revision`.*`dimension`.*`distance`.*`image_px`.*`embed_images`"),
        ("load_nothing", "breaks the protocol"),
        ("load_failing", "cannot be loaded.*RuntimeError: no weights"),
        ("missing", "cannot be loaded.*AttributeError"),
        ("LOADED", "cannot be loaded.*TypeError"),
    ],
)
async def test_a_broken_plug_in_says_what_is_broken(tmp_path: Path, target: str, says: str) -> None:
    with pytest.raises(EmbedderBroken, match=says):
        await registry(tmp_path, odd=target).get("odd")


async def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    plugins.LOADED.clear()
    embedders = registry(tmp_path, odd="load_failing")
    for _ in range(2):
        with pytest.raises(EmbedderBroken):
            await embedders.get("odd")
    assert len(plugins.LOADED) == 2
    await embedders.close()


async def test_two_packages_with_one_name_are_refused(tmp_path: Path) -> None:
    points = [EntryPoint("shade", f"{plugins.__name__}:{t}", GROUP) for t in ("load", "load_half")]
    with pytest.raises(EmbedderBroken, match="several packages"):
        await Registry(tmp_path, points=points).get("shade")


def test_a_fingerprint_knows_where_its_parts_end() -> None:
    assert fingerprint("a", "bc") != fingerprint("ab", "c")
    assert fingerprint("a", 1) == fingerprint("a", 1)
    assert len(fingerprint()) == 16


def test_a_vector_may_be_as_large_as_the_engine_takes() -> None:
    assert embedder_settings.MAX_DIMENSION == messages.MAX_DIMENSION
