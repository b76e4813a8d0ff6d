"""What an embedder is: the protocol that a plug-in satisfies without importing anything of ours.

A plug-in is an entry point of the group `lookalike.embedders`: its name is the embedder's name,
its target a callable `load(cache_folder: Path) -> Embedder`, called once, in a thread, when the
embedder is first needed. Files that the plug-in wants to find again go into `cache_folder`; its
settings are environment variables of its own, with a prefix other than `LOOKALIKE_`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Distance = Literal["cosine", "euclid", "dot", "manhattan"]
DISTANCES: tuple[str, ...] = get_args(Distance)

Vector = NDArray[np.float32]
Vectors = NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """Turns images, and for some models words, into vectors.

    `revision` is a fingerprint of everything that moves a vector: weights, preprocessing, backend,
    precision, dimension. Two embedders with equal revisions may share a collection, others not.

    An embedder may also have `batch_size: int` (1 if missing), the most images that it wants in
    one call; `former_revisions`, a sequence of those whose vectors it may be compared with, since
    few images have others by now; and `close()`, called once, at the end.
    """

    @property
    def name(self) -> str:
        """The name of its entry point, by which collections and settings refer to it."""
        ...

    @property
    def revision(self) -> str:
        """1 to 64 characters, the same whenever the same model is loaded; see `fingerprint`."""
        ...

    @property
    def dimension(self) -> int:
        """How many numbers a vector has, 1 to `embedder_settings.MAX_DIMENSION`."""
        ...

    @property
    def distance(self) -> Distance:
        """How vectors are compared. For `cosine` no vector may be all zero."""
        ...

    @property
    def image_px(self) -> int:
        """The side of the square that the model sees, 1 to `embedder_settings.MAX_IMAGE_PX` pixels.

        An image is decoded no larger than needed: both sides of what `embed_images` gets are at
        least twice that, if the image has so many pixels.
        """
        ...

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """RGB images of any size -> float32 of shape (n, dimension); none gives (0, dimension).

        Called from one thread at a time. All numbers must be finite. The images must be left as
        they are. It may raise any exception; an `EmbedderError` with `retry` says that trying again
        later may help.
        """
        ...


@runtime_checkable
class TextEmbedder(Embedder, Protocol):
    """An embedder with a text tower: words and images share one space."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Any strings -> float32 of shape (n, dimension); none gives (0, dimension).

        As `embed_images`. The strings come from strangers: none may be opened as a file or fetched.
        """
        ...


def fingerprint(*parts: object) -> str:
    """A revision: 16 hex digits that change when any part does, whatever the parts' lengths."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        text = str(part).encode()
        digest.update(len(text).to_bytes(4, "little") + text)
    return digest.hexdigest()
