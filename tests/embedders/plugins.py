"""Plug-ins for the tests: small, odd and broken ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookalike.embedders.protocol import Distance
from tests.waiting import PATIENCE_SECONDS

LOADED: list[str] = []


class Shade:
    """An image's mean colour. Counts its calls; `gate` holds the worker, if there is one."""

    name = "shade"
    revision = "1"
    dimension = 3
    distance: Distance = "euclid"
    image_px = 8

    def __init__(self, batch_size: int = 1, gate: threading.Event | None = None) -> None:
        self.batch_size = batch_size
        self.gate = gate
        self.batches: list[list[int]] = []
        self.called = threading.Event()
        self.threads: set[str] = set()
        self.closed = False

    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        self.batches.append([image.getpixel((0, 0))[0] for image in images])  # type: ignore[index]
        self.called.set()
        self.threads.add(threading.current_thread().name)
        if self.gate is not None:
            self.gate.wait(PATIENCE_SECONDS)
        return np.stack([np.asarray(image).mean((0, 1)) for image in images])

    def close(self) -> None:
        self.closed = True


class Talking(Shade):
    """With a text tower: the three first code points."""

    def embed_texts(self, texts: Sequence[str]) -> Any:
        self.batches.append([-len(text) for text in texts])
        return [[ord(c) for c in text[:3].ljust(3)] for text in texts]


class Answering(Shade):
    """Answers what it is told to, right or wrong."""

    def __init__(
        self, answer: Callable[[int], Any], distance: Distance = "cosine", **more: Any
    ) -> None:
        super().__init__(**more)
        self.answer, self.distance = answer, distance

    def embed_images(self, images: Sequence[Image.Image]) -> Any:
        super().embed_images(images)
        return self.answer(len(images))


def load(cache_folder: Path) -> Shade:
    LOADED.append(str(cache_folder))
    time.sleep(0.05)
    return Shade()


def load_nothing(cache_folder: Path) -> None:
    return None


def load_half(cache_folder: Path) -> object:
    class Half:
        name = "another"
        dimension = 0
        distance = "far"

    return Half()


def load_failing(cache_folder: Path) -> Shade:
    LOADED.append("failing")
    raise RuntimeError("no weights")
