"""What an embedder is: the protocol that a plug-in satisfies without importing anything of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Distance = Literal["cosine", "euclid", "dot", "manhattan"]
Vectors = NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """Turns pictures, and for some models words, into vectors.

    `revision` is a fingerprint of everything that moves a vector: weights, preprocessing, backend,
    precision, dimension. Two embedders with equal revisions may share a collection, others not.
    """

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def distance(self) -> Distance: ...
    @property
    def image_px(self) -> int:
        """The side of the square that the model sees; a JPEG is decoded no larger than needed."""
        ...

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """RGB images of any size -> float32 of shape (n, dimension). Called from one thread."""
        ...


@runtime_checkable
class TextEmbedder(Embedder, Protocol):
    """An embedder with a text tower: words and pictures share one space."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Any strings -> float32 of shape (n, dimension). Called from one thread."""
        ...
