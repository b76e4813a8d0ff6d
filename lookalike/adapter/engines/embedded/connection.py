"""A client's connection to the worker: requests go out at once, answers come back in any order.

When the worker dies, the requests in flight fail with EngineUnavailable and the next one connects
anew: it waits in the listening socket, which outlives the worker, until the next worker has loaded.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import numpy as np

from lookalike.adapter import deadline, errors
from lookalike.adapter.engines.embedded import messages, wire
from lookalike.adapter.engines.embedded.messages import WorkerRequest

R = TypeVar("R")

_KINDS: dict[messages.ErrorKind, type[errors.LookalikeError]] = {
    "CollectionNotFound": errors.CollectionNotFound,
    "RecordsNotFound": errors.RecordsNotFound,
    "EngineFailed": errors.EngineFailed,
    "EngineUnavailable": errors.EngineUnavailable,
    "DiskFull": errors.DiskFull,
}


class Connection:
    """Pipelined requests over one Unix socket; connects when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: _Stream | None = None
        self._connecting = asyncio.Lock()

    async def request(self, request: WorkerRequest[R], most_seconds: float) -> R:
        """The result of a request; raises what the worker answers, or EngineUnavailable.

        Waits `most_seconds`, or what is left of the request at hand. A write that nobody waits for
        any more is carried out nevertheless, once it was sent.
        """
        try:
            body = _encode(request)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise errors.EngineFailed("the request holds what the engine cannot take") from error
        if len(body) > wire.MAX_FRAME_BYTES:
            raise errors.EngineFailed("the request is too large for the engine")
        seconds = deadline.left(most_seconds)
        try:
            if seconds == 0:
                raise TimeoutError
            async with asyncio.timeout(seconds):
                stream = self._stream
                if stream is None or stream.closed:
                    stream = await self._connect()
                answered = await stream.request(body)
        except TimeoutError:
            raise errors.EngineUnavailable("The engine did not answer in time.") from None
        try:
            answer = messages.decode_answer(type(request), answered)
        except msgspec.DecodeError as error:
            raise errors.EngineFailed("the engine's answer cannot be read") from error
        if isinstance(answer, messages.Failed):
            raise _KINDS[answer.kind](answer.text)
        return answer.result

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


def _of_numpy(value: Any) -> Any:
    """What msgpack does not know: numbers of numpy."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)


_encode = msgspec.msgpack.Encoder(enc_hook=_of_numpy).encode


class _Stream(asyncio.Protocol):
    def __init__(self) -> None:
        self._frames = wire.Frames()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._transport: asyncio.Transport | None = None
        self.closed = False

    async def request(self, body: bytes) -> bytes:
        assert self._transport is not None
        self._number += 1
        number = self._number
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._transport.write(wire.frame(number, body))
            return await answer
        except asyncio.CancelledError:
            # A read that nobody waits for any more is not carried on.
            self._transport.write(wire.frame(number, b""))
            raise
        finally:
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
