"""What a running API process has at hand: engine, collections, embedders, images."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.store import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import (
    CollectionConflict,
    EmbedderFailed,
    InvalidRequest,
    LookalikeError,
    RecordRefused,
    Unavailable,
)
from lookalike.adapter.records.images import Embedded, ImageSource
from lookalike.adapter.records.listing import PageCursors
from lookalike.adapter.records.writer import Writer
from lookalike.api.auth import Grant, tokens_from
from lookalike.api.settings import Settings
from lookalike.embedders.batching import BatchedEmbedder
from lookalike.embedders.dominant import dominant_colors
from lookalike.embedders.embedder_errors import EmbedderError, NoTextTower, UnknownEmbedder
from lookalike.embedders.images import Box, ImageError, ImageReader, ImageSettings
from lookalike.embedders.registry import Registry

T = TypeVar("T")

log = logging.getLogger("lookalike")


class Services:
    """One per process, made by `api.app` at start and closed at its end.

    A plain class and no dataclass, which Litestar would validate field by field on every request.
    """

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self.tokens = tokens_from(settings)
        self.engine = engine
        self.cache = CollectionCache(engine)
        self.writer = Writer(engine, self.cache, self.embed_second)
        self.cursors = PageCursors()
        self.embedders = Registry(Path(settings.data) / "models", options=settings.embedder_options)
        self.images = ImageReader(
            ImageSettings(
                max_bytes=settings.max_image_bytes,
                max_pixels=settings.max_image_pixels,
                fetch_timeout_s=settings.fetch_timeout_s,
                allowed_hosts=settings.fetch_allow,
            )
        )

    async def close(self) -> None:
        await self.images.close()
        await self.embedders.close()
        await self.engine.close()

    @staticmethod
    def collection_named_by(headers: Mapping[str, str]) -> str | None:
        """An id in `collection-id`, or a name in the older `collection`."""
        return headers.get("collection-id") or headers.get("collection")

    async def collection(self, id_or_name: str, grant: Grant) -> Collection:
        """Raises CollectionNotFound, and Forbidden for one that the token is not bound to."""
        collection = await self.cache.find(id_or_name)
        grant.require_collection(collection.id)
        return collection

    async def embedder_named(self, name: str, place: str) -> BatchedEmbedder:
        """Raises InvalidRequest for an unknown name."""
        try:
            return await self.embedders.get(name)
        except UnknownEmbedder as error:
            raise InvalidRequest(error.text, place=place) from None
        except EmbedderError as error:
            raise _of_embedder(error) from error

    async def embedder_of(self, collection: Collection) -> BatchedEmbedder:
        """The embedder that made the collection's vectors.

        Raises CollectionConflict where this installation has it no more, or another revision:
        vectors of two models in one collection would be silently incomparable.
        """
        try:
            embedder = await self.embedders.get(collection.embedder)
        except UnknownEmbedder as error:
            raise CollectionConflict(error.text) from None
        except EmbedderError as error:
            raise _of_embedder(error) from error
        if embedder.revision != collection.revision:
            raise CollectionConflict(
                f"The collection was made by revision {collection.revision} of the embedder "
                f"{collection.embedder}; revision {embedder.revision} is installed."
            )
        return embedder

    async def embed(
        self,
        collection: Collection,
        sources: Sequence[ImageSource],
        *,
        query: bool = False,
        colors: bool = False,
    ) -> list[Embedded | RecordRefused]:
        """Reads and embeds images together; each gets its vector or the reason why not.

        With `colors` their dominant colours too.
        """
        embedder = await self.embedder_of(collection)
        return await self.embed_with(embedder, sources, query=query, colors=colors)

    async def embed_with(
        self,
        embedder: BatchedEmbedder,
        sources: Sequence[ImageSource],
        *,
        query: bool = False,
        colors: bool = False,
    ) -> list[Embedded | RecordRefused]:
        """Raises Unavailable before anything is read where too much waits already."""
        try:
            with embedder.places(len(sources), query=query) as places:
                turns = asyncio.Semaphore(places)

                async def one(source: ImageSource) -> Embedded | RecordRefused:
                    async with turns:
                        return await self._embed_one(embedder, source, query, colors)

                return await _all(map(one, sources))
        except EmbedderError as error:
            raise _of_embedder(error) from error

    async def _embed_one(
        self, embedder: BatchedEmbedder, source: ImageSource, query: bool, colors: bool
    ) -> Embedded | RecordRefused:
        try:
            image = await self.images.read(
                url=source.url,
                base64=source.base64,
                image_px=embedder.image_px,
                crop=None if source.crop is None else Box(*source.crop),
                query=query,
            )
        except ImageError as error:
            return RecordRefused(error.code, error.text)
        vector = await embedder.embed_image(
            image.image, query=query, content_hash=image.content_hash
        )
        named = await asyncio.to_thread(_named_colors, image.image) if colors else None
        return Embedded(vector.tolist(), image.content_hash, named)

    async def embed_second(
        self, seen: Collection, sources: Sequence[ImageSource]
    ) -> list[list[float] | None]:
        """As `embed`, for a collection seen by its second vector. Where that has no embedder here,
        records are left without it, which is for its migration to fill."""
        try:
            results = await self.embed(seen, sources)
        except (EmbedderFailed, CollectionConflict) as error:
            log.warning("inserted without the vector of %s: %s", seen.embedder, error)
            return [None] * len(sources)
        return [result.vector if isinstance(result, Embedded) else None for result in results]

    async def embed_text(self, collection: Collection, text: str, place: str) -> list[float]:
        """Raises InvalidRequest at `place` where the collection's embedder knows images only."""
        embedder = await self.embedder_of(collection)
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
            raise _of_embedder(error) from error
        floats: list[float] = vector.tolist()
        return floats


async def _all(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
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


def _of_embedder(error: EmbedderError) -> LookalikeError:
    return Unavailable(error.text) if error.retry else EmbedderFailed(error.text)
