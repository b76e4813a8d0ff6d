"""The worker process of the embedded engine: it alone opens the data folder and calls the engine.

    python -m lookalike.adapter.engines.embedded.worker.main \\
        <data> <listener> <lifeline> <start> <settings>

(two file descriptors, `database.Start`, JSON). Every call of the binding holds the interpreter
lock, so the engine has a process of its own, which any number of API processes share through a
Unix socket. It does one thing at a time. After a panic of the engine its state is unknown: the
worker answers with an error that says "try again" and ends itself; the supervisor starts another,
which reads the log. It also ends when the supervisor does (the lifeline reaches its end). It does
not import qdrant-client, which costs 0.7 s and 90 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from lookalike.adapter.engines.embedded import messages, wire
from lookalike.adapter.engines.embedded.disk_space import NOTHING_ADDED, NoRoom
from lookalike.adapter.engines.embedded.worker.database import (
    ADMINISTRATION,
    DATABASE_READS,
    Database,
    NoCollection,
    NotLoaded,
    Start,
)
from lookalike.adapter.engines.embedded.worker.loading import DISK_FULL, errno_of
from lookalike.adapter.engines.embedded.worker.maintenance import Maintenance
from lookalike.adapter.engines.embedded.worker.read_plans import READ_PLANS, read
from lookalike.adapter.engines.embedded.worker.scheduler import Scheduler
from lookalike.adapter.engines.embedded.worker.validation import PointMissing, Refused
from lookalike.adapter.engines.embedded.worker.write_plans import WRITE_PLANS, write
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings

log = logging.getLogger("lookalike.engine")

Reply = Callable[[bytes], None]

MAX_UNREAD_BYTES = 64 << 20
"""Answers that a client may leave unread before it is cut off."""
MAX_PENDING = 512
"""Requests of a client that may wait here; further ones wait in its socket."""
EXIT_PANIC = 70
EXIT_LOAD_FAILED = 71
EXIT_NOT_CLOSED = 72


class Worker:
    """Reads requests, lets the scheduler run them, and writes the answers."""

    def __init__(self, database: Database, scheduler: Scheduler) -> None:
        self.database = database
        self.scheduler = scheduler

    def submit(self, client: Client, request_number: int, body: bytes) -> None:
        """Queue a request; its answer goes to the client, whenever that is."""

        def reply(answer: bytes) -> None:
            client.send(request_number, answer)

        try:
            request = messages.decode_request(body)
        except msgspec.DecodeError as error:
            log.warning("malformed request: %s", error)
            reply(_failed("EngineFailed", "the request is malformed"))
            return
        kind = type(request)
        if kind in DATABASE_READS or kind in READ_PLANS:
            self._read(client, request_number, request, reply)
        else:
            self._write(request, len(body), reply)

    def _read(self, client: Client, number: int, request: Any, reply: Reply) -> None:
        def steps() -> Iterator[None]:
            reading = self._result(request)
            while client.awaits(number):
                try:
                    next(reading)
                except StopIteration as over:
                    reply(messages.encode_answer(messages.Done(over.value)))
                    return
                yield
            reply(_failed("EngineUnavailable", "nobody waits for the answer"))

        def done(error: BaseException | None) -> None:
            if error is not None:
                reply(failure(error, request))

        self.scheduler.read(client, steps(), done)

    def _result(self, request: Any) -> Generator[None, None, Any]:
        kind = type(request)
        if kind in DATABASE_READS:
            yield from ()
            return DATABASE_READS[kind](self.database, request)
        shard = self.database.shard(request.collection)
        steps = read(shard, request)
        while shard.name in self.database.shards:
            try:
                next(steps)
            except StopIteration as over:
                return over.value
            yield
        raise NoCollection  # It was deleted between two steps.

    def _write(self, request: Any, sent_bytes: int, reply: Reply) -> None:
        def steps() -> Iterator[None]:
            self.database.check_room(request, sent_bytes)
            # The collection is looked up when the write's turn comes: one before it may make it.
            kind = type(request)
            if kind in WRITE_PLANS:
                yield from write(self.database.shard(request.collection), request)
            else:
                yield from ADMINISTRATION[kind](self.database, request)

        def done(error: BaseException | None) -> None:
            reply(DONE if error is None else failure(error, request))

        # Aliases have a queue of their own.
        queue = self.database.resolve(getattr(request, "collection", ""))
        self.scheduler.write(queue, steps(), done)


DONE = messages.encode_answer(messages.Done(None))
"""The answer to every write."""


def _failed(kind: messages.ErrorKind, text: str) -> bytes:
    return messages.encode_answer(messages.Failed(kind, text))


def failure(error: BaseException, request: Any) -> bytes:
    """The answer to a request that failed."""
    if isinstance(error, NoCollection):
        return _failed("CollectionNotFound", "no such collection")
    if isinstance(error, PointMissing):
        return _failed("RecordsNotFound", "records not found")
    if isinstance(error, Refused):
        return _failed("EngineFailed", str(error))
    if isinstance(error, NotLoaded):
        return _failed("EngineUnavailable", str(error))
    if not isinstance(error, Exception):
        return _failed("EngineUnavailable", "the engine failed and is being restarted")
    if isinstance(error, NoRoom):
        return _failed("DiskFull", str(error))
    if errno_of(error) in DISK_FULL:
        return _failed("DiskFull", NOTHING_ADDED)
    # The binding raises Exception itself; of its subclasses, the disk raises OSError.
    if type(error) is Exception or isinstance(error, OSError):
        name = getattr(request, "collection", "")
        log.error("the engine refused a request about the collection %s: %s", name, error)
        text = f"The engine refused the request. Are the files of the collection {name} damaged?"
        return _failed("EngineFailed", text)
    log.error("the worker has a fault: %s", type(error).__name__, exc_info=error)
    return _failed("EngineFailed", "the engine's worker has a fault; its log tells which")


class Client(asyncio.Protocol):
    """One connection. One that does not read its answers is not read from, and then cut off."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._frames = wire.Frames()
        self._transport: asyncio.Transport | None = None
        self._pending: set[int] = set()
        self._unwanted: set[int] = set()
        """Requests whose answers nobody waits for any more."""
        self._deaf = False

    @property
    def gone(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=1 << 20)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        try:
            for request_number, body in self._frames.feed(data):
                if body:
                    self._pending.add(request_number)
                    self._worker.submit(self, request_number, body)
                elif request_number in self._pending:
                    self._unwanted.add(request_number)
        except wire.FrameTooLarge:
            if self._transport is not None:
                self._transport.abort()
        self._throttle()

    def awaits(self, request_number: int) -> bool:
        """Whether the client waits for the answer still."""
        return not self.gone and request_number not in self._unwanted

    def send(self, request_number: int, answer: bytes) -> None:
        data = wire.frame(request_number, answer)
        self._pending.discard(request_number)
        self._unwanted.discard(request_number)
        if self._transport is None:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._transport.abort()
        self._throttle()

    def pause_writing(self) -> None:
        self._deaf = True
        self._throttle()

    def resume_writing(self) -> None:
        self._deaf = False
        self._throttle()

    def _throttle(self) -> None:
        """Read from the client, or do not; either call does nothing when it is so already."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._deaf or len(self._pending) >= MAX_PENDING:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def end(error: BaseException) -> None:
    """End the worker at once; a panic leaves the engine in no state to be flushed or closed.

    What was acknowledged is in its log, and the next worker reads it.
    """
    log.critical("the engine panicked: %s", error)
    os._exit(EXIT_PANIC)


async def serve_requests(database: Database, listener: socket.socket, lifeline: int) -> None:
    """Answer requests until the supervisor ends, or asks for the end."""
    loop = asyncio.get_running_loop()
    scheduler = Scheduler(loop, end)
    worker = Worker(database, scheduler)
    stop = asyncio.Event()
    loop.add_reader(lifeline, stop.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # The server is never closed: the listener belongs to the supervisor and serves the next worker.
    server = await loop.create_unix_server(lambda: Client(worker), sock=listener)
    maintaining = asyncio.create_task(Maintenance(database, scheduler).run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({maintaining, stopping}, return_when=asyncio.FIRST_COMPLETED)
    scheduler.stop()
    maintaining.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await maintaining
    del server


def run_worker() -> None:
    data, listener_fd, lifeline_fd, start, settings = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # A Ctrl-C reaches the whole process group; the supervisor decides when the worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    database = Database(Path(data), msgspec.json.decode(settings, type=WorkerSettings))
    try:
        database.load(msgspec.convert(start, Start))
    except BaseException as error:
        log.critical("a collection cannot be loaded: %s", error)
        os._exit(EXIT_LOAD_FAILED)
    with socket.socket(fileno=int(listener_fd)) as listener:
        try:
            asyncio.run(serve_requests(database, listener, int(lifeline_fd)))
            closed = database.close()
        except BaseException as error:
            log.critical("the worker ends by a fault", exc_info=error)
            closed = False
    if not closed:
        # An engine that goes with the interpreter flushes what it has, unasked: perhaps where there
        # is no room, and past the inventory of its files.
        os._exit(EXIT_NOT_CLOSED)


if __name__ == "__main__":
    run_worker()
