"""The image fields of a record -> an RGB image."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

from PIL import Image

from lookalike.embedders.images.base64_field import decode_base64, decode_data_url, is_data_url
from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.fetch import Fetcher, FetchTerms
from lookalike.embedders.images.formats import may_outgrow_its_header
from lookalike.embedders.images.image_errors import ImageTooLarge, ImageUnreadable
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.isolation import IsolatedDecoder

T = TypeVar("T")


class ReadImage(NamedTuple):
    """`image` is RGB and upright; `content_hash` 32 hex digits of the encoded bytes and crop."""

    image: Image.Image
    content_hash: str


class ImageReader:
    """Fetches and decodes, off the event loop and within the limits. One event loop, one reader."""

    def __init__(self, settings: ImageSettings) -> None:
        self._settings = settings
        # The images of an import wait by the hundred; that of a search must not wait behind them.
        self._fetcher = Fetcher(settings)
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        self._query_thread = ThreadPoolExecutor(1, thread_name_prefix="decode-query")
        self._isolated = IsolatedDecoder(settings.decode_timeout_s)

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
        if base64 is not None:
            find = partial(decode_base64, base64, most)
        elif url is None:
            raise ImageUnreadable("the record has no image: neither `_base64` nor `_url`")
        elif is_data_url(url):
            find = partial(decode_data_url, url, most)
        else:
            data = await self._fetcher.fetch(url, terms, query=query)
            find = partial(bytes, data)
        return await self._decode(lambda: self._from_bytes(find(), image_px, crop), query)

    async def close(self) -> None:
        """Closes connections; images that wait for their decoding are dropped."""
        await self._fetcher.close()
        for threads in (self._threads, self._query_thread):
            await asyncio.to_thread(threads.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._isolated.close)

    async def _decode(self, work: Callable[[], T], query: bool) -> T:
        loop, limit_s = asyncio.get_running_loop(), self._settings.decode_timeout_s
        its_turn = asyncio.Event()

        def timed() -> T:
            loop.call_soon_threadsafe(its_turn.set)
            return work()

        decoded = loop.run_in_executor(self._query_thread if query else self._threads, timed)
        try:
            # How long others take before it says nothing of this image.
            await its_turn.wait()
            async with asyncio.timeout(limit_s):
                return await decoded
        except TimeoutError:
            raise ImageTooLarge(f"the image was not decoded within {limit_s:g} s") from None
        finally:
            decoded.cancel()

    def _from_bytes(self, data: bytes, image_px: int, crop: Box | None) -> ReadImage:
        limit = self._settings.max_pixels
        decode = self._isolated.decode if may_outgrow_its_header(data) else decode_image
        image = decode(data, max_pixels=limit, image_px=image_px, crop=crop)
        content = hashlib.blake2b(data, digest_size=16)
        if crop is not None:
            content.update(repr(tuple(crop)).encode())
        return ReadImage(image, content.hexdigest())
