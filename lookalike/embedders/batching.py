"""One worker thread in front of an embedder, and a short queue in front of the thread.

A request takes its places before anything is fetched or decoded for it, or is refused; then it
brings as many images at a time as it has places. The thread takes one batch after the other
without asking the event loop, which may be busy with other things for some milliseconds. A search
goes before the images of an insert; whoever stops waiting leaves the queue; and what the embedder
answers is checked before anybody stores it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from lookalike.embedders.embedder_errors import (
    EmbedderBroken,
    EmbedderClosed,
    EmbedderError,
    NoTextTower,
    Overloaded,
)
from lookalike.embedders.memory import trim_heap
from lookalike.embedders.protocol import Distance, Embedder, TextEmbedder, Vector

log = logging.getLogger(__name__)

# Places of inserts, and as many of searches. A decoded image takes about 1.2 MB while it waits.
MAX_WAITING = 256
# Places of one request, unless a batch of the embedder has more: enough to decode ahead, and few
# enough for several imports at once.
WINDOW = 32
# Vectors that are kept in case the same image comes again: 1,638 of 1,280 numbers.
CACHE_BYTES = 8 * 1024 * 1024
# After so long without work, the memory that the work has left behind is given back.
IDLE_S = 2.0
# Under a flood of searches, one batch in so many still belongs to the inserts.
BULK_TURN = 8


@dataclass(eq=False, slots=True)
class _Waiting:
    item: Image.Image | str
    future: asyncio.Future[Vector]


class BatchedEmbedder:
    """An embedder for use in an event loop. Made by the registry; one loop, one instance.

    Callers hold `places` around what they fetch, decode and embed: that is what bounds memory and
    waiting. The other methods raise `EmbedderBroken` if the embedder raises or answers no vector,
    and all of them `EmbedderClosed` after `close`.
    """

    def __init__(self, embedder: Embedder, *, max_waiting: int = MAX_WAITING) -> None:
        self._embedder = embedder
        self._max_waiting = max_waiting
        self._taken = {"inserts": 0, "searches": 0}
        self._batch_size = max(1, int(getattr(embedder, "batch_size", 1)))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"embed-{embedder.name}")
        # Held for whatever the event loop and the thread both touch: the next four.
        self._lock = threading.Lock()
        self._queries: deque[_Waiting] = deque()
        self._bulk: deque[_Waiting] = deque()
        self._since_bulk = 0
        self._working = False

        self._idle: asyncio.TimerHandle | None = None
        self._closed = False
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._cache_capacity = CACHE_BYTES // (4 * embedder.dimension)
        self.name: str = embedder.name
        self.revision: str = embedder.revision
        self._former_revisions = frozenset(getattr(embedder, "former_revisions", ()))
        self.dimension: int = embedder.dimension
        self.distance: Distance = embedder.distance
        self.image_px: int = embedder.image_px
        self._text = embedder if isinstance(embedder, TextEmbedder) else None
        self.has_text: bool = self._text is not None

    def compares_with(self, revision: str) -> bool:
        """Whether vectors of this revision may be compared with those that it makes."""
        return revision == self.revision or revision in self._former_revisions

    @contextmanager
    def places(self, count: int, *, query: bool = False) -> Iterator[int]:
        """For a request of `count` images and texts: how many it may have on their way at once.

        At least 1, and never as many as would keep a request from working alone. Searches (`query`)
        and inserts do not take each other's. Raises `Overloaded` where too many are taken.
        """
        if self._closed:
            raise EmbedderClosed(f"the embedder {self.name} is closed")
        kind = "searches" if query else "inserts"
        wanted = min(max(1, count), max(WINDOW, self._batch_size), self._max_waiting)
        if self._taken[kind] + wanted > self._max_waiting:
            raise Overloaded(f"too many {kind} wait for the embedder {self.name}")
        self._taken[kind] += wanted
        try:
            yield wanted
        finally:
            self._taken[kind] -= wanted

    async def embed_image(
        self, image: Image.Image, *, query: bool = False, content_hash: str | None = None
    ) -> Vector:
        """One RGB image -> float32 of shape (dimension,). `query`: somebody waits for it.

        An image whose `content_hash` was embedded a short while ago is not embedded again.
        """
        if content_hash is not None and (vector := self._cache.get(content_hash)) is not None:
            self._cache.move_to_end(content_hash)
            return vector
        vector = await self._enqueue(image, query)
        if content_hash is not None:
            # A copy: the row of a batch would keep the whole batch in memory.
            self._cache[content_hash] = vector.copy()
            if len(self._cache) > self._cache_capacity:
                self._cache.popitem(last=False)
        return vector

    async def embed_text(self, text: str, *, query: bool = True) -> Vector:
        """Any string -> float32 of shape (dimension,). Raises `NoTextTower` without a tower."""
        if not self.has_text:
            raise NoTextTower(f"the embedder {self.name} knows pictures only, no text")
        return await self._enqueue(text, query)

    @property
    def waiting(self) -> int:
        """Images and texts in the queue, those of the running batch not counted."""
        return len(self._queries) + len(self._bulk)

    async def close(self) -> None:
        """Those who wait get `EmbedderClosed`; the running batch is finished first."""
        self._closed = True
        self._cache.clear()
        if self._idle is not None:
            self._idle.cancel()
        with self._lock:
            waiting = [*self._queries, *self._bulk]
            self._queries.clear()
            self._bulk.clear()
        for entry in waiting:
            if not entry.future.done():
                entry.future.set_exception(EmbedderClosed("the service is stopping"))
        await asyncio.to_thread(self._thread.shutdown)
        if callable(close := getattr(self._embedder, "close", None)):
            await asyncio.to_thread(close)

    def _enqueue(self, item: Image.Image | str, query: bool) -> asyncio.Future[Vector]:
        if self._closed:
            raise EmbedderClosed(f"the embedder {self.name} is closed")
        loop, queue = asyncio.get_running_loop(), self._queries if query else self._bulk
        entry = _Waiting(item, loop.create_future())
        entry.future.add_done_callback(partial(self._leave, queue, entry))
        with self._lock:
            queue.append(entry)
            rests, self._working = not self._working, True
        if rests:
            if self._idle is not None:
                self._idle.cancel()
            self._thread.submit(self._work, loop)
        return entry.future

    def _leave(
        self, queue: deque[_Waiting], entry: _Waiting, future: asyncio.Future[Vector]
    ) -> None:
        # Somebody who stopped waiting must neither hold a place nor keep an image in memory.
        if future.cancelled():
            with self._lock:
                if entry in queue:
                    queue.remove(entry)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the worker thread: all that waits."""
        while batch := self._next_batch():
            answers = self._embed([entry.item for entry in batch])
            loop.call_soon_threadsafe(_deliver, batch, answers)
        loop.call_soon_threadsafe(self._rest, loop)

    def _next_batch(self) -> list[_Waiting]:
        """The next few of one kind, searches first, except when the inserts have waited long."""
        with self._lock:
            bulk, batch = self._bulk, list[_Waiting]()
            queues = [self._queries, bulk]
            if self._since_bulk >= BULK_TURN:
                queues.reverse()
            for queue in queues:
                while queue and len(batch) < self._batch_size:
                    if batch and type(batch[0].item) is not type(queue[0].item):
                        break
                    entry = queue.popleft()
                    if not entry.future.done():
                        batch.append(entry)
                        self._since_bulk = 0 if queue is bulk else self._since_bulk + bool(bulk)
            self._working = bool(batch)
            return batch

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if not self._working and not self._closed:
            self._idle = loop.call_later(IDLE_S, self._thread.submit, trim_heap)

    def _embed(self, items: list[Any]) -> list[Vector | EmbedderError]:
        """In the worker thread. One bad image must not take its neighbours along."""
        try:
            if self._text is not None and isinstance(items[0], str):
                raw = self._text.embed_texts(items)
            else:
                raw = self._embedder.embed_images(items)
            return check_vectors(raw, len(items), self._embedder)
        except (Exception, SystemExit) as error:
            failure = error
        if isinstance(failure, EmbedderError) and failure.retry:
            # Not the fault of one of the images: each alone would wait as long again.
            return [failure] * len(items)
        if len(items) > 1:
            return [answer for item in items for answer in self._embed([item])]
        log.error("the embedder %s failed", self.name, exc_info=failure)
        if isinstance(failure, EmbedderError):
            return [failure]
        broken = EmbedderBroken(f"the embedder {self.name} failed on this input")
        broken.__cause__ = failure
        return [broken]


def _deliver(batch: list[_Waiting], answers: list[Vector | EmbedderError]) -> None:
    for entry, answer in zip(batch, answers, strict=True):
        if entry.future.done():
            continue
        if isinstance(answer, EmbedderError):
            entry.future.set_exception(answer)
        else:
            entry.future.set_result(answer)


def check_vectors(raw: object, count: int, embedder: Embedder) -> list[Vector | EmbedderError]:
    """What an embedder answered -> rows that can be stored, errors in the place of bad rows.

    Raises `EmbedderBroken` if the whole answer has another shape than (count, dimension) or is no
    array of real numbers.
    """
    with np.errstate(all="ignore"):
        vectors = np.array(raw, dtype=np.float32, order="C")
    if vectors.shape != (count, embedder.dimension):
        raise EmbedderBroken(
            f"the embedder {embedder.name} answered an array of shape {vectors.shape} "
            f"instead of {(count, embedder.dimension)}"
        )
    return [_checked_row(vector, embedder) for vector in vectors]


def _checked_row(vector: Vector, embedder: Embedder) -> Vector | EmbedderError:
    text = f"the embedder {embedder.name} answered %s for this input"
    if not np.isfinite(vector).all():
        return EmbedderBroken(text % "numbers that are not finite")
    # A cosine has no meaning for the zero vector; for a hash of 0 and 1 it is a fair answer.
    if embedder.distance == "cosine" and not vector.any():
        return EmbedderBroken(text % "a vector of length zero")
    return vector
