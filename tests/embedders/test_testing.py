"""The contract kit: the bundled embedders pass it, and each rule catches who breaks it."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.random_clip import save_clip
from lookalike.embedders import clip, colors, compact, lite0, phash, product
from lookalike.embedders.exported import ExportedClip
from lookalike.embedders.testing import ContractBroken, check_embedder, drawing, findings


@pytest.mark.parametrize(
    "module", [lite0, compact, phash, colors, product], ids=lambda module: module.NAME
)
def test_the_bundled_embedders_keep_it(module: Any, cache_folder: Path) -> None:
    check_embedder(module.load, module.NAME, cache_folder)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_clip_keeps_it(tmp_path: Path, precision: Any) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `clip`)")
    pytest.importorskip("sentence_transformers", reason="it is not installed (extra `clip`)")
    folder = str(save_clip(tmp_path))

    def load(cache_folder: Path) -> clip.Clip | ExportedClip:
        return clip.load(cache_folder, model=folder, device="cpu", precision=precision)

    assert len(list(findings(load, "clip", tmp_path))) == 10
    check_embedder(load, "clip", tmp_path)


class Grid:
    """Keeps the contract: an image's colours in 4 x 4 places, a text's letters."""

    name, revision, dimension, distance, image_px = "grid", "1", 48, "euclid", 8

    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        small = [np.asarray(i.resize((4, 4), Image.Resampling.BOX), np.float32) for i in images]
        return np.reshape(small, (len(images), 48)).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Any:
        rows = [[ord(c) % 97 for c in text[:48].ljust(48)] for text in texts]
        return np.reshape(rows, (len(texts), 48)).astype(np.float32)


class Doubles(Grid):
    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        return super().embed_images(images).astype(np.float64)


class OnlySomething(Grid):
    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        return super().embed_images(images) if images else np.zeros(0, np.float32)


class NotSmall(Grid):
    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        if any(min(image.size) < 8 for image in images):
            raise ValueError("too small")
        return super().embed_images(images)


class Centred(Grid):
    """Vectors that depend on their neighbours in the batch."""

    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        vectors = super().embed_images(images)
        return vectors - vectors.mean(0, keepdims=True) if len(images) else vectors


class Painting(Grid):
    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        for image in images:
            image.putpixel((0, 0), (1, 2, 3))
        return super().embed_images(images)


class Sized(Grid):
    """Sees the size more than the image."""

    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        widths = np.array([[i.width] for i in images], np.float32).reshape(-1, 1)
        return super().embed_images(images) * (widths % 500)


class Fetching(Grid):
    def embed_texts(self, texts: Sequence[str]) -> Any:
        for text in texts:
            if text.startswith("http"):
                try:
                    urllib.request.urlopen(text)
                except OSError as error:
                    error.close() if hasattr(error, "close") else None
        return super().embed_texts(texts)


class Opening(Grid):
    def embed_texts(self, texts: Sequence[str]) -> Any:
        if texts and texts[0].endswith(".png"):
            with Image.open(texts[0]) as image:
                return np.concatenate([self.embed_images([image])] * len(texts))
        return super().embed_texts(texts)


class NoSurrogates(Grid):
    def embed_texts(self, texts: Sequence[str]) -> Any:
        assert all(text.encode() is not None for text in texts)
        return super().embed_texts(texts)


class Changing(Grid):
    count = 0

    def __init__(self) -> None:
        Changing.count += 1
        self.revision = str(Changing.count)


def loader(kind: Callable[[], Any]) -> Callable[[Path], Any]:
    return lambda cache_folder: kind()


def test_the_example_keeps_it(tmp_path: Path) -> None:
    check_embedder(loader(Grid), "grid", tmp_path)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Doubles, r"float32 of shape .*: the answer is float64"),
        (OnlySomething, r"none give \(0, dimension\): .*shape \(0,\)"),
        (NotSmall, r"Pictures of any size .*: ValueError: too small"),
        (Centred, r"same vector alone and among others.*: vectors that differ"),
        (Painting, r"the picture was changed"),
        (Sized, r"A smaller copy .*: a copy of drawing\(\d\) is nearest to drawing\(\d\)"),
        (Fetching, r"a text that is a URL was fetched"),
        (Opening, r"a text that is a path has the vector"),
        (NoSurrogates, r"Any texts give .*UnicodeEncodeError"),
        (Changing, r"the same revision .*: revision \d+, then \d+"),
        (lambda: None, r"every attribute of the protocol: .*`embed_images` is not a method"),
    ],
)
def test_each_rule_catches_who_breaks_it(
    tmp_path: Path, kind: Callable[[], Any], says: str
) -> None:
    with pytest.raises(ContractBroken, match=says):
        check_embedder(loader(kind), "grid", tmp_path)


def test_drawings_differ_by_seed_and_are_the_same_every_time() -> None:
    assert drawing(1).tobytes() == drawing(1).tobytes()
    assert len({drawing(n).tobytes() for n in range(8)}) == 8
