"""The image fields of a record -> an RGB image."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PIL import Image

from lookalike.embedders.images.base64_field import decode_base64, decode_data_url, is_data_url
from lookalike.embedders.images.byte_budget import ByteBudget, Hold
from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.decoding_cost import cost_of, refuse_costly
from lookalike.embedders.images.decoding_lane import DecodingLane
from lookalike.embedders.images.fetch import Fetcher, FetchTerms
from lookalike.embedders.images.formats import may_outgrow_its_header
from lookalike.embedders.images.image_errors import ImageTooCostly, ImageUnreadable
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.isolation import IsolatedDecoder

SMALL_BYTES = 64_000_000
"""What decoding an image may need that is decoded beside others: 14 Mpx of PNG, 3 of WebP, any JPEG
that is not progressive."""
SLACK_BYTES = 48_000_000
"""What a process that decodes may take beyond: its buffers, and what was told of no image."""

FREE_BYTES, FETCHED_BYTES = 1_000_000, 128_000_000
"""What each picture may have fetched without asking, and what larger ones may have together until
they are decoded; searches half as much once more."""


class ReadImage(NamedTuple):
    """`image` is RGB and upright; `content_hash` 32 hex digits of the encoded bytes and crop."""

    image: Image.Image
    content_hash: str


class ImageReader:
    """Fetches and decodes, off the event loop and within the limits. One event loop, one reader."""

    def __init__(self, settings: ImageSettings) -> None:
        self._settings = settings
        self._max_bytes = settings.decoding_memory_mb * 1_000_000
        self._fetcher = Fetcher(settings)
        limit_s = settings.decode_timeout_s
        # The images of an import wait by the hundred; that of a search must not wait behind them.
        self._inserts = DecodingLane("decode", settings.decode_threads, limit_s)
        self._queries = DecodingLane("decode-query", 1, limit_s)
        # Those that take much memory are decoded one at a time, and no other waits for them.
        self._large = DecodingLane("decode-large", 1, limit_s)
        # Searches have bytes of their own, as they have threads and connections.
        self._bytes, self._query_bytes = ByteBudget(FETCHED_BYTES), ByteBudget(FETCHED_BYTES // 2)
        self._isolated = IsolatedDecoder(limit_s, SMALL_BYTES + SLACK_BYTES)
        self._isolated_large = IsolatedDecoder(limit_s, self._max_bytes + SLACK_BYTES)

    async def read(
        self,
        *,
        url: str | None = None,
        base64: str | None = None,
        image_px: int,
        crop: Box | None = None,
        query: bool = False,
        terms: FetchTerms | None = None,
    ) -> ReadImage:
        """The image of a record; `base64` wins over `url`, as it does at the provider.

        `image_px` is the embedder's, `crop` the part that is wanted; `query`: somebody waits for
        it; `terms`: those of its request. Raises an `ImageError`, for a record without either too.
        """
        most = self._settings.max_bytes
        budget = self._query_bytes if query else self._bytes
        with contextlib.closing(Hold(budget, FREE_BYTES)) as hold:
            if base64 is not None:
                find = partial(decode_base64, base64, most)
            elif url is None:
                raise ImageUnreadable("the record has no image: neither `_base64` nor `_url`")
            elif is_data_url(url):
                find = partial(decode_data_url, url, most)
            else:
                data = await self._fetcher.fetch(url, terms, query=query, hold=hold)
                find = partial(bytes, data)
            # The terms are of one request; without them the image is alone.
            request = terms or object()
            lane = self._queries if query else self._inserts
            found = await lane.run(lambda: self._decode_small(find(), image_px, crop), request)
            if isinstance(found, ReadImage):
                return found
            decode = self._isolated_large.decode
            return await self._large.run(
                lambda: self._read_image(decode, found, image_px, crop), request
            )

    async def close(self) -> None:
        """Closes connections; images that wait for their decoding are dropped."""
        await self._fetcher.close()
        for lane in (self._inserts, self._queries, self._large):
            await lane.close()
        for decoder in (self._isolated, self._isolated_large):
            await asyncio.to_thread(decoder.close)

    def _decode_small(self, data: bytes, image_px: int, crop: Box | None) -> ReadImage | bytes:
        """The image, or its bytes where it takes more than a small one may."""
        if may_outgrow_its_header(data):
            try:
                return self._read_image(self._isolated.decode, data, image_px, crop, SMALL_BYTES)
            except ImageTooCostly:
                return data
        cost = cost_of(data, image_px)
        # Some decoders ask for the memory as soon as they open an image.
        refuse_costly(cost, self._max_bytes)
        if cost > SMALL_BYTES:
            return data
        return self._read_image(decode_image, data, image_px, crop)

    def _read_image(
        self,
        decode: Callable[..., Image.Image],
        data: bytes,
        image_px: int,
        crop: Box | None,
        max_bytes: int | None = None,
    ) -> ReadImage:
        image = decode(
            data,
            max_pixels=self._settings.max_pixels,
            image_px=image_px,
            crop=crop,
            max_bytes=max_bytes or self._max_bytes,
        )
        content = hashlib.blake2b(data, digest_size=16)
        if crop is not None:
            content.update(repr(tuple(crop)).encode())
        return ReadImage(image, content.hexdigest())
