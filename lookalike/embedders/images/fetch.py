"""The field `_url`: fetches an image from the web without trusting whoever wrote the URL.

Built on httpcore, whose network backend is the seam where a name becomes an address
(https://www.encode.io/httpcore/network-backends/): ours resolves the name once, judges every
address, and connects to a judged one. TLS still verifies the name. Connections are kept and used
again. Any port is allowed; proxies and other settings of the environment are not read.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpcore
import httpx

from lookalike.embedders.images.addresses import AddressRules
from lookalike.embedders.images.image_errors import (
    ImageError,
    ImageNotFetched,
    ImageTooLarge,
    UrlRefused,
)
from lookalike.embedders.images.image_settings import ImageSettings

log = logging.getLogger(__name__)

Resolver = Callable[[str, int], Awaitable[list[str]]]

MAX_URL_LENGTH = 8192
# A name with more addresses than that is not tried to the end.
MAX_ADDRESSES = 4
# What a server or the network can do to us.
_OUTSIDE = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_ADDRESS = "the host of `_url` has no address that may be fetched"
_HEADERS: dict[bytes | str, bytes | str] = {
    "Accept": "image/*,*/*;q=0.5",
    # An image is compressed already; a server that does it again is understood, within limits.
    "Accept-Encoding": "identity",
    "User-Agent": "lookalike",
}


class Fetcher:
    """Fetches images, a bounded number at a time. For one event loop; `close` it at the end.

    `resolve` and `tls` are seams for tests and special networks.
    """

    def __init__(
        self,
        settings: ImageSettings,
        *,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.fetch_connections)
        self._names = ThreadPoolExecutor(4, thread_name_prefix="resolve")
        self._rules = AddressRules(settings.allowed_hosts)
        self._resolve = resolve or self._look_up
        self._tls = tls
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def fetch(self, url: str) -> bytes:
        """The bytes behind `url`, redirects followed.

        Raises `UrlRefused`, `ImageNotFetched` (also for a status other than 200, and when
        `fetch_timeout_s` is over) or `ImageTooLarge`.
        """
        try:
            async with asyncio.timeout(self._settings.fetch_timeout_s), self._turns:
                return await self._follow(_parse(url))
        except TimeoutError:
            text = f"`_url` gave no image within {self._settings.fetch_timeout_s:g} s"
            raise ImageNotFetched(text) from None
        except ImageError:
            raise
        except Exception as error:
            if not isinstance(error, _OUTSIDE):
                log.exception("a fetch failed in a way that we do not know")
            raise ImageNotFetched("the server of `_url` cannot be reached or breaks off") from error

    async def close(self) -> None:
        """Closes the connections."""
        if self._pool is not None:
            await self._pool.aclose()
        self._names.shutdown(wait=False, cancel_futures=True)

    async def _follow(self, url: httpx.URL) -> bytes:
        for _ in range(self._settings.max_redirects + 1):
            answer = await self._get(url)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise ImageNotFetched("`_url` is redirected too often")

    async def _get(self, url: httpx.URL) -> bytes | httpx.URL:
        """The body, or where to look for it."""
        pool = await self._connections()
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        headers: dict[bytes | str, bytes | str] = {"Host": url.netloc, **_HEADERS}
        timeouts = {"connect": self._settings.connect_timeout_s}
        async with pool.stream(
            "GET", target, headers=headers, extensions={"timeout": timeouts}
        ) as response:
            fields = {name.lower(): value for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in fields:
                return _parse(str(_join(url, fields[b"location"])))
            if response.status != 200:
                raise ImageNotFetched(f"the server of `_url` answers {response.status}")
            length = fields.get(b"content-length", b"")
            if length.isdigit() and int(length) > self._settings.max_bytes:
                raise ImageTooLarge(f"`_url` has more than {self._settings.max_bytes} bytes")
            coding = fields.get(b"content-encoding", b"identity")
            return await _collect(response.aiter_stream(), coding, self._settings.max_bytes)

    async def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            # Reading the certificates takes some 20 ms: not at start, and not in the event loop.
            tls = self._tls or await asyncio.to_thread(_tls)
            self._pool = self._pool or httpcore.AsyncConnectionPool(
                ssl_context=tls,
                max_connections=self._settings.fetch_connections,
                max_keepalive_connections=self._settings.fetch_connections // 2,
                keepalive_expiry=15.0,
                network_backend=_CheckedBackend(self._rules, self._resolve),
            )
        return self._pool

    async def _look_up(self, host: str, port: int) -> list[str]:
        """All addresses of a host, by the system's resolver, in threads that nobody else needs."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._names, _getaddrinfo, host, port)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to judged addresses only."""

    def __init__(self, rules: AddressRules, resolve: Resolver) -> None:
        self._rules = rules
        self._resolve = resolve
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = []
        # The same answer whether there is no such name or we must not go there: see `errors`.
        if not self._rules.allows(host, addresses):
            raise ImageNotFetched(_NO_ADDRESS)
        failed: Exception | None = None
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise ImageNotFetched(_NO_ADDRESS)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _parse(url: str) -> httpx.URL:
    if len(url) > MAX_URL_LENGTH:
        raise UrlRefused(f"`_url` has more than {MAX_URL_LENGTH} characters")
    try:
        parsed = httpx.URL(url.strip())
        if parsed.scheme not in ("http", "https") or not parsed.raw_host:
            raise UrlRefused("`_url` is not a whole http or https URL")
        if parsed.userinfo:
            raise UrlRefused("`_url` holds a user name or password")
        if parsed.port == 0:
            raise UrlRefused("`_url` names port 0")
    except (httpx.InvalidURL, ValueError) as error:
        raise UrlRefused("`_url` is not a valid URL") from error
    return parsed


def _join(url: httpx.URL, location: bytes) -> httpx.URL:
    try:
        return url.join(location.decode("utf-8", "replace"))
    except (httpx.InvalidURL, ValueError) as error:
        raise UrlRefused("`_url` is redirected to something that is no URL") from error


async def _collect(chunks: AsyncIterator[bytes], coding: bytes, max_bytes: int) -> bytes:
    """The decoded body. The limit counts what comes out, so that a gzip bomb ends early."""
    unpack: Callable[[bytes], bytes]
    match coding.strip().lower():
        case b"identity" | b"":
            unpack = bytes
        case b"gzip" | b"x-gzip" | b"deflate":
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
    return bytes(body)


def _getaddrinfo(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _tls() -> ssl.SSLContext:
    """The system's certificates (an internal authority may be among them) and certifi's."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
