"""The worker process of the embedded engine: it owns the data folder and calls the engine.

    python -m lookalike.adapter.engines.embedded.worker.main \\
        <data> <listener> <lifeline> <faulted> <settings>

(two file descriptors, 0 or 1, JSON). Every call of the binding holds the interpreter lock, so the
engine has a process of its own, which any number of API processes share through a Unix socket. It
does one thing at a time. After a panic of the engine its state is unknown: the worker answers with
an error that says "try again" and ends itself; the owner starts another, which reads the log. It
also ends when its owner does (the lifeline reaches its end). It does not import qdrant-client,
which costs 0.7 s and 90 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from lookalike.adapter.engines.embedded import wire
from lookalike.adapter.engines.embedded.worker.conditions import Plain
from lookalike.adapter.engines.embedded.worker.database import ADMINISTRATION, Engine, NoCollection
from lookalike.adapter.engines.embedded.worker.maintenance import Maintenance
from lookalike.adapter.engines.embedded.worker.scheduler import Scheduler
from lookalike.adapter.engines.embedded.worker.shard import READS
from lookalike.adapter.engines.embedded.worker.validation import Missing, Refused
from lookalike.adapter.engines.embedded.worker.write_plans import PLANS, write
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings

log = logging.getLogger("lookalike.engine")

MAX_UNREAD_BYTES = 64 << 20
"""Answers that a client may leave unread before it is cut off."""
MAX_PENDING = 512
"""Requests of a client that may wait here; further ones wait in its socket."""
EXIT_PANIC = 70
EXIT_LOAD_FAILED = 71
MALFORMED = (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError)
"""What the conversion raises over a request that does not have the plain form at all."""


class Worker:
    """Reads requests, lets the scheduler run them, and writes the answers."""

    def __init__(self, engine: Engine, scheduler: Scheduler) -> None:
        self.engine = engine
        self.scheduler = scheduler

    def submit(self, client: Client, number: int, body: bytes) -> None:
        """Queue a request; its answer goes to the client, whenever that is."""
        reply = self._reply(client, number)
        try:
            method, args = wire.decode(body)
            if method in READS or method in ("health", "get_collections", "get_aliases"):
                self.scheduler.read(client, lambda: self._read(client, method, args, reply))
            elif method in PLANS:
                name = self.engine.resolve(args["collection"])
                self._write(name, lambda: write(self.engine.collection(name), method, args), reply)
            elif method in ADMINISTRATION:
                name = self.engine.resolve(args.get("collection", ""))
                self._write(name, lambda: ADMINISTRATION[method](self.engine, name, args), reply)
            else:
                raise Refused("the method is not known")
        except Exception as error:
            reply(self._error(error))

    def _reply(self, client: Client, number: int) -> Callable[[bytes], None]:
        def reply(body: bytes) -> None:
            client.send(wire.frame(number, body))

        return reply

    def _read(
        self, client: Client, method: str, args: Plain, reply: Callable[[bytes], None]
    ) -> None:
        if client.gone:
            return
        try:
            if method in READS:
                result = READS[method](self.engine.collection(args["collection"]), args)
            else:
                result = getattr(self.engine, method)()
            body = wire.answer(result)
        except BaseException as error:
            reply(self._error(error))
            if not isinstance(error, Exception):
                end(error)
        else:
            reply(body)

    def _write(
        self, queue: str, start: Callable[[], Iterator[None]], reply: Callable[[bytes], None]
    ) -> None:
        def steps() -> Iterator[None]:
            # The collection is looked up when the write's turn comes: one before it may make it.
            yield from start()

        def done(error: BaseException | None) -> None:
            reply(wire.answer(True) if error is None else self._error(error))

        self.scheduler.write(queue, steps(), done)

    def _error(self, error: BaseException) -> bytes:
        """The answer to a request that failed."""
        if isinstance(error, NoCollection):
            return wire.error_answer("CollectionNotFound", "no such collection")
        if isinstance(error, Missing):
            return wire.error_answer("RecordsNotFound", "records not found")
        if isinstance(error, Refused):
            return wire.error_answer("EngineFailed", str(error))
        if isinstance(error, MALFORMED):
            log.warning("malformed request: %s", type(error).__name__, exc_info=error)
            return wire.error_answer("EngineFailed", "the request is malformed")
        if isinstance(error, Exception):
            log.error("the engine refused a request: %s", error)
            return wire.error_answer("EngineFailed", "the engine refused the request")
        return wire.error_answer("EngineUnavailable", "the engine failed and is being restarted")


class Client(asyncio.Protocol):
    """One connection. One that does not read its answers is not read from, and then cut off."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._frames = wire.Frames()
        self._transport: asyncio.Transport | None = None
        self._pending = 0
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
            for number, body in self._frames.feed(data):
                self._pending += 1
                self._worker.submit(self, number, body)
        except wire.FrameTooLarge:
            if self._transport is not None:
                self._transport.abort()
        self._throttle()

    def send(self, data: bytes) -> None:
        self._pending -= 1
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
        if self._deaf or self._pending >= MAX_PENDING:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def end(error: BaseException) -> None:
    """End the worker at once; a panic leaves the engine in no state to be flushed or closed.

    What was acknowledged is in its log, and the next worker reads it.
    """
    log.critical("the engine panicked: %s", error)
    os._exit(EXIT_PANIC)


async def serve(engine: Engine, listener: socket.socket, lifeline: int) -> None:
    """Answer requests until the owner ends, or asks for the end."""
    loop = asyncio.get_running_loop()
    scheduler = Scheduler(loop, end)
    worker = Worker(engine, scheduler)
    stop = asyncio.Event()
    loop.add_reader(lifeline, stop.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # The server is never closed: the listener belongs to the owner and serves the next worker.
    server = await loop.create_unix_server(lambda: Client(worker), sock=listener)
    keeping = asyncio.create_task(Maintenance(engine, scheduler).run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
    scheduler.stop()
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    del server


def main() -> None:
    data, listener_fd, lifeline_fd, faulted, settings = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # A Ctrl-C reaches the whole process group; the owner decides when the worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = Engine(Path(data), msgspec.json.decode(settings, type=WorkerSettings))
    try:
        engine.load(faulted=faulted == "1")
    except BaseException as error:
        log.critical("a collection cannot be loaded: %s", error)
        os._exit(EXIT_LOAD_FAILED)
    with socket.socket(fileno=int(listener_fd)) as listener:
        asyncio.run(serve(engine, listener, int(lifeline_fd)))
        engine.close()


if __name__ == "__main__":
    main()
