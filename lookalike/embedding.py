"""The port between collections and embedders: which embedder a collection has, and its vectors.

Above both rooms, so that neither knows the other. The adapter says what it needs in two protocols,
`records.image_sources.EmbeddingPort` and `collections.service.EmbedderLookup`; `Embedding` is both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from PIL import Image

from lookalike.adapter import deadline
from lookalike.adapter.callers import SharedPlaces
from lookalike.adapter.collections.collection_settings import Collection, EmbedderIdentity
from lookalike.adapter.collections.fetch_headers import FetchHeaders
from lookalike.adapter.errors import (
    CollectionConflict,
    EmbedderFailed,
    InvalidRequest,
    LookalikeError,
    RecordRefused,
    Unavailable,
)
from lookalike.adapter.records.image_sources import Embedded, ImageSource, Vector
from lookalike.embedders.batching import MAX_WAITING, WINDOW, BatchedEmbedder
from lookalike.embedders.dominant import dominant_colors
from lookalike.embedders.embedder_errors import (
    EmbedderError,
    EmbedderNotSetUp,
    NoTextTower,
    UnknownEmbedder,
)
from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.fetch import FetchTerms
from lookalike.embedders.images.image_errors import ImageError
from lookalike.embedders.images.reader import ImageReader, ReadImage
from lookalike.embedders.registry import Registry

T = TypeVar("T")

log = logging.getLogger("lookalike")


class NewerRevision(NamedTuple):
    """Another revision than that of a collection's vectors, of the same embedder."""

    revision: str
    comparable: bool
    """Whether searches and inserts work meanwhile."""


class Embedding:
    """The embedders and the image reader of one process. Closes both at its end.

    `share`: the part of the places for pictures that one caller may have.
    """

    def __init__(self, embedders: Registry, images: ImageReader, share: float = 1.0) -> None:
        self._embedders = embedders
        self._images = images
        self._shared = SharedPlaces(MAX_WAITING, share)

    async def close(self) -> None:
        await self._images.close()
        await self._embedders.close()

    async def load_embedder(self, name: str) -> None:
        """Has an embedder ready before it is needed. Raises as `identify_embedder`."""
        await self._embedder_named(name, "$")

    async def identify_embedder(self, name: str, place: str) -> EmbedderIdentity:
        """Raises InvalidRequest at `place` for an unknown name, and for an embedder that lacks its
        settings."""
        embedder = await self._embedder_named(name, place)
        return EmbedderIdentity(name, embedder.revision, embedder.dimension, embedder.distance)

    async def find_newer_revision(self, collection: Collection) -> NewerRevision | None:
        """The revision that its embedder has here, where it is another than the collection's.

        Raises InvalidRequest for an unknown embedder, EmbedderFailed or Unavailable for one that
        cannot be loaded.
        """
        embedder = await self._embedder_named(collection.embedder, "$")
        if embedder.revision == collection.revision:
            return None
        return NewerRevision(embedder.revision, embedder.compares_with(collection.revision))

    async def embed(
        self,
        collection: Collection,
        sources: Sequence[ImageSource],
        *,
        query: bool = False,
        colors: bool = False,
    ) -> list[Embedded | RecordRefused]:
        """Reads and embeds images together; each gets its vector or the reason why not.

        With `colors` their dominant colours too; `query`: somebody waits for the answer. Raises
        Unavailable before anything is read where too much waits already.
        """
        embedder = await self._embedder_of(collection)
        terms = FetchTerms(deadline.fetch_limit_s(), collection.fetch_headers)
        return await self._embed_all(embedder, sources, terms, query=query, colors=colors)

    async def embed_with(
        self,
        name: str,
        sources: Sequence[ImageSource],
        *,
        fetch_headers: FetchHeaders | None = None,
    ) -> list[Embedded | RecordRefused]:
        """As `embed`, with an embedder by its name, and `fetch_headers` of whose images they are.

        Raises InvalidRequest for an unknown name.
        """
        terms = FetchTerms(deadline.fetch_limit_s(), fetch_headers or {})
        return await self._embed_all(await self._embedder_named(name, "$"), sources, terms)

    async def embed_second(
        self, seen: Collection, sources: Sequence[ImageSource]
    ) -> list[Vector | None]:
        """As `embed`, for a collection seen by its second vector.

        Where that has no embedder here, records are left without it, which is for its migration to
        fill.
        """
        try:
            results = await self.embed(seen, sources)
        except (EmbedderFailed, CollectionConflict) as error:
            log.warning("inserted without the vector of %s: %s", seen.embedder, error)
            return [None] * len(sources)
        return [result.vector if isinstance(result, Embedded) else None for result in results]

    async def embed_text(self, collection: Collection, text: str, place: str) -> Vector:
        """Raises InvalidRequest at `place` where the collection's embedder knows images only."""
        embedder = await self._embedder_of(collection)
        try:
            with embedder.places(1, query=True):
                vector = await embedder.embed_text(text)
        except NoTextTower:
            raise InvalidRequest(
                f"The embedder of this collection, {embedder.name}, knows pictures only; a search "
                "by text needs a collection made with one that has a text tower, such as clip",
                place=place,
            ) from None
        except EmbedderError as error:
            raise _translated(error) from error
        floats: Vector = vector.tolist()
        return floats

    async def _embedder_named(self, name: str, place: str) -> BatchedEmbedder:
        try:
            return await self._embedders.get(name)
        except (UnknownEmbedder, EmbedderNotSetUp) as error:
            raise InvalidRequest(error.text, place=place) from None
        except EmbedderError as error:
            raise _translated(error) from error

    async def _embedder_of(self, collection: Collection) -> BatchedEmbedder:
        """The embedder that made the collection's vectors.

        Raises CollectionConflict where this installation has it no more, or another revision that
        is not a former one of it: vectors of two models would be silently incomparable.
        """
        try:
            embedder = await self._embedders.get(collection.embedder)
        except UnknownEmbedder as error:
            raise CollectionConflict(error.text) from None
        except EmbedderError as error:
            raise _translated(error) from error
        if not embedder.compares_with(collection.revision):
            raise CollectionConflict(
                f"The collection was made by revision {collection.revision} of the embedder "
                f"{collection.embedder}; revision {embedder.revision} is installed. The operator "
                "can make its vectors anew: lookalike migrate up "
                f"{collection.id} --embedder {collection.embedder}"
            )
        return embedder

    async def _embed_all(
        self,
        embedder: BatchedEmbedder,
        sources: Sequence[ImageSource],
        terms: FetchTerms,
        *,
        query: bool = False,
        colors: bool = False,
    ) -> list[Embedded | RecordRefused]:
        """Holds the request's places while its images are fetched, decoded and embedded."""
        try:
            with (
                self._shared.take(min(len(sources), WINDOW), "the pictures under way"),
                embedder.places(len(sources), query=query) as places,
            ):
                turns = asyncio.Semaphore(places)

                async def one(source: ImageSource) -> Embedded | RecordRefused:
                    async with turns:
                        image = await self._read(embedder, source, terms, query)
                        if isinstance(image, RecordRefused):
                            return image
                        return await _embed_read(embedder, image, query, colors)

                return await _gather_all(map(one, sources))
        except EmbedderError as error:
            raise _translated(error) from error

    async def _read(
        self, embedder: BatchedEmbedder, source: ImageSource, terms: FetchTerms, query: bool
    ) -> ReadImage | RecordRefused:
        try:
            return await self._images.read(
                url=source.url,
                base64=source.base64,
                image_px=embedder.image_px,
                crop=None if source.crop is None else Box(*source.crop),
                query=query,
                terms=terms,
            )
        except ImageError as error:
            return RecordRefused(error.code, error.text)


async def _embed_read(
    embedder: BatchedEmbedder, image: ReadImage, query: bool, colors: bool
) -> Embedded:
    vector = await embedder.embed_image(image.image, query=query, content_hash=image.content_hash)
    named = await asyncio.to_thread(_named_colors, image.image) if colors else None
    return Embedded(vector.tolist(), image.content_hash, named)


async def _gather_all(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in their order, or the first error, after which the others are called off."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _named_colors(image: Image.Image) -> dict[str, Any]:
    """Parallel lists, the largest share first, as the provider answers colours."""
    found = dominant_colors(image)
    return {
        "rgb_colors": [list(color.rgb) for color in found],
        "rgb_hex_colors": ["#{:02x}{:02x}{:02x}".format(*color.rgb) for color in found],
        "percentages": [round(100 * color.share, 1) for color in found],
    }


def _translated(error: EmbedderError) -> LookalikeError:
    return Unavailable(error.text) if error.retry else EmbedderFailed(error.text)
