"""A client's connection to the worker: requests go out at once, answers come back in any order.

When the worker dies, the requests in flight fail with EngineUnavailable and the next one connects
anew: it waits in the listening socket, which outlives the worker, until the next worker has loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from lookalike.adapter import errors
from lookalike.adapter.engines.embedded import wire

_KINDS: dict[str, type[errors.LookalikeError]] = {
    kind.__name__: kind
    for kind in (
        errors.CollectionNotFound,
        errors.RecordsNotFound,
        errors.EngineFailed,
        errors.EngineUnavailable,
    )
}


class Connection:
    """Pipelined requests over one Unix socket; connects when it is first needed."""

    def __init__(self, path: Path, encode: Callable[[Any], bytes]) -> None:
        self._path = path
        self._encode = encode
        self._stream: _Stream | None = None
        self._connecting = asyncio.Lock()

    async def request(self, method: str, args: dict[str, Any], timeout_seconds: float) -> Any:
        """The result of a request; raises what the worker answers, or EngineUnavailable."""
        try:
            body = self._encode([method, args])
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise errors.EngineFailed("the request holds what the engine cannot take") from error
        if len(body) > wire.MAX_FRAME_BYTES:
            raise errors.EngineFailed("the request is too large for the engine")
        stream = self._stream
        if stream is None or stream.closed:
            stream = await self._connect()
        kind, result = wire.decode(await stream.request(body, timeout_seconds))
        if kind:
            raise _KINDS[kind](result)
        return result

    async def open(self) -> None:
        """Connect now; raises EngineUnavailable when nobody listens."""
        await self._connect()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    async def _connect(self) -> _Stream:
        async with self._connecting:
            if self._stream is None or self._stream.closed:
                loop = asyncio.get_running_loop()
                try:
                    _, self._stream = await loop.create_unix_connection(_Stream, str(self._path))
                except OSError as error:
                    raise errors.EngineUnavailable("the engine cannot be reached") from error
            return self._stream


class _Stream(asyncio.Protocol):
    def __init__(self) -> None:
        self._frames = wire.Frames()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._transport: asyncio.Transport | None = None
        self.closed = False

    async def request(self, body: bytes, timeout_seconds: float) -> bytes:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._number += 1
        number = self._number
        answer: asyncio.Future[bytes] = loop.create_future()
        self._waiting[number] = answer
        timer = loop.call_later(timeout_seconds, _time_out, answer)
        try:
            self._transport.write(wire.frame(number, body))
            return await answer
        finally:
            timer.cancel()
            self._waiting.pop(number, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked with isinstance: the transports of uvloop are no subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for number, body in self._frames.feed(data):
            answer = self._waiting.get(number)
            # None, or done: whoever asked has given up.
            if answer is not None and not answer.done():
                answer.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.closed = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(errors.EngineUnavailable("the engine is being restarted"))

    def close(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.close()


def _time_out(answer: asyncio.Future[bytes]) -> None:
    if not answer.done():
        answer.set_exception(errors.EngineUnavailable("the engine did not answer in time"))
