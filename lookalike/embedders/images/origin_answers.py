"""What the server of a `_url` answers: the bytes, another URL, or why there is nothing."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import httpx

from lookalike.embedders.images.image_errors import (
    ImageBusy,
    ImageForbidden,
    ImageGone,
    ImageNotFetched,
    ImageTooLarge,
)

REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What shops' servers and stores of objects write there without having compressed anything: a
# character set, and the way in which an object was once sent to them.
_NO_CODINGS = frozenset({b"", b"identity", b"utf-8", b"aws-chunked"})
_AUTHORITY = re.compile(r"([^:/?#]*:)?(//[^/?#]*)?")


def read_refusal(status: int, retry_after: bytes) -> ImageNotFetched:
    """Why a status other than 200 is no image; `retry_after`: that field, empty without it."""
    text = f"the server of `_url` answers {status}"
    match status:
        case 401 | 403:
            return ImageForbidden(text)
        case 404 | 410:
            return ImageGone(text)
        case 429 | 503:
            return ImageBusy(text, read_retry_after(retry_after))
    return ImageNotFetched(text)


def read_retry_after(value: bytes) -> float:
    """Seconds to wait, of a number of them or a date (RFC 9110, 10.2.3); 0 for anything else."""
    text = value.decode("latin-1").strip()
    try:
        if re.fullmatch("[0-9]+", text):
            return float(text)
        then = email.utils.parsedate_to_datetime(text)
        if then.tzinfo is None:
            then = then.replace(tzinfo=dt.UTC)
        return max(0.0, (then - dt.datetime.now(dt.UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


def read_location(url: httpx.URL, location: bytes) -> str:
    """Where a redirect of `url` leads. Raises httpx.InvalidURL or ValueError.

    Letters that are not ASCII must be percent-encoded there, and often are not. In UTF-8 they are
    read as such; otherwise the path is asked for with the very bytes that the server wrote, and a
    host is read as Latin-1.
    """
    try:
        text = location.decode()
    except UnicodeDecodeError:
        text = location.decode("latin-1")
        authority = _AUTHORITY.match(text)
        path = authority.end() if authority else 0
        text = text[:path] + "".join(
            letter if letter.isascii() else f"%{ord(letter):02X}" for letter in text[path:]
        )
    return str(url.join(text))


async def read_body(
    chunks: AsyncIterator[bytes],
    codings: bytes,
    max_bytes: int,
    make_room: Callable[[int], Awaitable[None]] | None = None,
) -> bytes:
    """The decoded body. The limit counts what comes out, so that a gzip bomb ends early.

    `make_room` is told how many bytes there are, and may wait.
    """
    unpack: Callable[[bytes], bytes]
    match [one for part in codings.lower().split(b",") if (one := part.strip()) not in _NO_CODINGS]:
        case []:
            unpack = bytes
        case [b"gzip" | b"x-gzip" | b"deflate"]:
            unpack = partial(
                zlib.decompressobj(zlib.MAX_WBITS | 32).decompress, max_length=max_bytes + 1
            )
        case _:
            raise ImageNotFetched("the server of `_url` answers in a coding that we do not ask for")
    body = bytearray()
    async for chunk in chunks:
        try:
            body += unpack(chunk)
        except zlib.error as error:
            raise ImageNotFetched("the server of `_url` breaks its own coding") from error
        if len(body) > max_bytes:
            raise ImageTooLarge(f"`_url` has more than {max_bytes} bytes")
        if make_room is not None:
            await make_room(len(body))
    return bytes(body)
