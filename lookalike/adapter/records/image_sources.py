"""The image of a record on its way to a vector; the adapter itself never sees a pixel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import RecordRefused
from lookalike.adapter.records.points import Record

Crop = tuple[float, float, float, float]
"""Left, top, right and bottom of the part of an image that counts, in pixels, or in fractions up to
1."""


class ImageSource(msgspec.Struct, frozen=True):
    """Where the image of a record comes from; `base64` wins over `url`."""

    url: str | None
    base64: str | None
    crop: Crop | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> ImageSource | None:
        """None where the record names no image, and an empty text names none. Raises RecordRefused
        for one of a wrong type."""
        url, base64 = record.get("_url"), record.get("_base64")
        for name, value in (("_url", url), ("_base64", base64)):
            if value is not None and not isinstance(value, str):
                raise RecordRefused(400, f"{name} must be a string")
        return cls(url or None, base64 or None, crop_of(record)) if url or base64 else None


def crop_of(record: Mapping[str, Any]) -> Crop | None:
    """The `_crop` of a record. Raises RecordRefused for one that is no part of an image."""
    box = record.get("_crop")
    if box is None:
        return None
    try:
        left, top, right, bottom = msgspec.convert(box, Crop)
    except msgspec.ValidationError:
        raise RecordRefused(400, "_crop must be four numbers: left, top, right, bottom") from None
    if not (0 <= left < right and 0 <= top < bottom):
        raise RecordRefused(400, "_crop must hold a part of the picture")
    return left, top, right, bottom


class Embedded(msgspec.Struct, frozen=True):
    """An image's vector (as many floats as the collection's dimension) and its content hash."""

    vector: list[float]
    content_hash: str
    dominant_colors: Record | None = None
    """What the record gets as `_dominant_colors`, if that was asked for."""


Vector = list[float]

Embed = Callable[[Sequence[ImageSource]], Awaitable[list[Embedded | RecordRefused]]]

EmbedSecond = Callable[[Collection, Sequence[ImageSource]], Awaitable[list[Vector | None]]]
"""The vectors of images for a collection seen by its second vector (`second_vector.swapped`); None
for an image that has none."""


class EmbeddingPort(Protocol):
    """What records and searches need of `lookalike.embedding`.

    All methods raise EmbedderFailed and Unavailable; those that take a collection raise
    CollectionConflict where its embedder is not installed.
    """

    async def embed(
        self,
        collection: Collection,
        sources: Sequence[ImageSource],
        *,
        query: bool = False,
        colors: bool = False,
    ) -> list[Embedded | RecordRefused]:
        """Each image gets its vector, or the reason why not; with `colors` the dominant ones too.

        `query`: somebody waits for the answer.
        """
        ...

    async def embed_second(
        self, seen: Collection, sources: Sequence[ImageSource]
    ) -> list[Vector | None]:
        """Embeds with the second vector's embedder; None for an image without a vector, which the
        migration fills later."""
        ...

    async def embed_text(self, collection: Collection, text: str, place: str) -> Vector:
        """Raises InvalidRequest at `place` where the collection's embedder knows images only."""
        ...

    async def embed_with(
        self, name: str, sources: Sequence[ImageSource]
    ) -> list[Embedded | RecordRefused]:
        """As `embed`, with an embedder by its name."""
        ...
