"""A load generator that costs little beside what it measures: prepared bytes over raw sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import uvloop


class _Connection(asyncio.Protocol):
    """Sends one prepared request after the other and notes how long each answer took."""

    def __init__(self, requests: Sequence[bytes], finished: asyncio.Future[None]) -> None:
        self._requests = requests
        self._finished = finished
        self._next = 0
        self._buffer = b""
        self.seconds: list[float] = []
        self.bodies: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # `create_connection` hands over one that can write.
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        if self._next == len(self._requests):
            self._finished.set_result(None)
            return
        self._started = time.perf_counter()
        self._transport.write(self._requests[self._next])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        self.seconds.append(time.perf_counter() - self._started)
        if not head.startswith(b"HTTP/1.1 200"):
            self._finished.set_exception(RuntimeError(f"{head[:40]!r} {body[:200]!r}"))
            return
        self.bodies.append(body)
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._finished.done():
            self._finished.set_exception(exc or ConnectionError("closed by the service"))


class Load:
    """What a run took: seconds of the whole, and of each answer, with the bodies in order."""

    def __init__(self, seconds: float, connections: Sequence[_Connection]) -> None:
        self.seconds = seconds
        self.latencies = [s for connection in connections for s in connection.seconds]
        self.bodies = [body for connection in connections for body in connection.bodies]

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Spreads the requests over keep-alive connections; each waits for its answer."""

    async def drive() -> Load:
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        opened, futures = [], []
        for number in range(connections):
            finished: asyncio.Future[None] = loop.create_future()
            share = requests[number::connections]
            _, protocol = await loop.create_connection(
                partial(_Connection, share, finished),
                "127.0.0.1",
                port,
            )
            opened.append(protocol)
            futures.append(finished)
        await asyncio.gather(*futures)
        return Load(time.perf_counter() - started, opened)

    return uvloop.run(drive())
