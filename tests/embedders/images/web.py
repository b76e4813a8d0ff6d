"""A small web server that says exactly what a test wants, names that lead to it, and a client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from lookalike.embedders.images.fetch import Fetcher, FetchTerms
from lookalike.embedders.images.image_errors import ImageError
from lookalike.embedders.images.image_settings import ImageSettings
from tests.waiting import PATIENCE_SECONDS

LOOPBACK = ["127.0.0.1"]

Writer = asyncio.StreamWriter
Answer = Callable[[Writer], Awaitable[None]]


class Web:
    """Serves `pages` on loopback: path -> a whole HTTP answer, or a coroutine that writes one.

    `requests` keeps the head of every request, `connections` counts connections.
    """

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Answer] = {}
        self.requests: list[str] = []
        self.connections = 0
        self.open = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> Web:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    def url(self, path: str = "/photo", host: str = "photos.test", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.connections += 1
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                text = head.decode("latin-1")
                self.requests.append(text)
                page = self.pages.get(text.split(" ")[1], answer(status=404))
                if isinstance(page, bytes):
                    writer.write(page)
                    await writer.drain()
                else:
                    await page(writer)
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


def answer(body: bytes = b"", status: int = 200, length: int | None = None, **fields: str) -> bytes:
    """A whole HTTP answer; a field's `_` stands for `-`, `length` may lie."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Gate:
    """A page that is answered once the test says so; `waiting` counts who stands there."""

    def __init__(self) -> None:
        self.waiting = self.most = 0
        self.opened = asyncio.Event()

    async def __call__(self, writer: Writer) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.opened.wait()
        self.waiting -= 1
        writer.write(answer(b"bytes"))
        await writer.drain()


class Names:
    """A resolver whose names are given; keeps what it was asked. Unknown names do not exist."""

    def __init__(self, **names: list[str]) -> None:
        self.names = {name.replace("_", "."): addresses for name, addresses in names.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.names:
            raise OSError("no such host")
        return self.names[host]


class Client:
    """A fetcher that may go to `photos.test` and `cdn.test`, and knows of `evil.test`."""

    def __init__(self, tls: ssl.SSLContext | None = None, **settings: Any) -> None:
        self.names = Names(photos_test=LOOPBACK, cdn_test=LOOPBACK, evil_test=LOOPBACK)
        options = {
            "allowed_hosts": ("photos.test", "cdn.test"),
            "fetch_timeout_s": PATIENCE_SECONDS,
            "fetch_attempts": 1,
            **settings,
        }
        self.fetcher = Fetcher(ImageSettings(**options), resolve=self.names, tls=tls)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.fetcher.close()

    async def fetch(self, url: str, terms: FetchTerms | None = None, **options: Any) -> bytes:
        return await self.fetcher.fetch(url, terms, **options)


async def refusal(url: str, kind: type[ImageError], **settings: Any) -> str:
    async with Client(**settings) as client:
        with pytest.raises(kind) as caught:
            await client.fetch(url)
        assert type(caught.value) is kind
        assert "127.0.0.1" not in caught.value.text
        return caught.value.text
