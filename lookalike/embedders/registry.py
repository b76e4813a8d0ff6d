"""Names -> embedders. Installed packages offer them as entry points; nothing is loaded unasked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from lookalike.embedders.batching import MAX_WAITING, BatchedEmbedder
from lookalike.embedders.embedder_errors import (
    EmbedderBroken,
    EmbedderClosed,
    EmbedderError,
    UnknownEmbedder,
)
from lookalike.embedders.embedder_settings import MAX_DIMENSION, MAX_IMAGE_PX
from lookalike.embedders.memory import trim_heap
from lookalike.embedders.protocol import DISTANCES, Embedder

GROUP = "lookalike.embedders"


def installed() -> list[EntryPoint]:
    """The entry points of all installed packages, by name."""
    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


class Registry:
    """All embedders of this installation, each loaded once, in a thread, when first asked for.

    `cache_folder` is where embedders keep files that they want to find again. `points` are the
    entry points; by default those of every installed package. `options` are keyword arguments for
    the `load` of the embedder of that name.
    """

    def __init__(
        self,
        cache_folder: Path,
        *,
        points: Iterable[EntryPoint] | None = None,
        options: Mapping[str, Mapping[str, object]] | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._cache_folder = cache_folder
        self._options = options or {}
        self._max_waiting = max_waiting
        self._points: dict[str, list[EntryPoint]] = {}
        for point in installed() if points is None else points:
            self._points.setdefault(point.name, []).append(point)
        self._loading: dict[str, asyncio.Task[BatchedEmbedder]] = {}
        self._closed = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `get` knows, sorted."""
        return tuple(sorted(self._points))

    async def get(self, name: str) -> BatchedEmbedder:
        """The embedder of this name, loaded now if nobody asked before.

        Raises `UnknownEmbedder`, `EmbedderClosed`, and `EmbedderBroken` or `EmbedderUnreachable`,
        after which the next call tries again.
        """
        if self._closed:
            raise EmbedderClosed("the service is stopping")
        task = self._loading.get(name)
        if task is None:
            point = self._point(name)
            task = asyncio.create_task(asyncio.to_thread(self._load, point))
            self._loading[name] = task
            task.add_done_callback(lambda done: self._forget_failure(name, done))
        # Who stops waiting does not stop the loading for those who go on waiting.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Closes what has been loaded."""
        self._closed = True
        loaded = await asyncio.gather(*self._loading.values(), return_exceptions=True)
        for embedder in loaded:
            if isinstance(embedder, BatchedEmbedder):
                await embedder.close()

    def _point(self, name: str) -> EntryPoint:
        points = self._points.get(name, [])
        if not points:
            known = ", ".join(self.names) or "none"
            raise UnknownEmbedder(f"no embedder has this name; installed are: {known}")
        if len({point.value for point in points}) > 1:
            offers = ", ".join(sorted(point.value for point in points))
            raise EmbedderBroken(f"several packages offer the embedder {name}: {offers}")
        return points[0]

    def _load(self, point: EntryPoint) -> BatchedEmbedder:
        try:
            embedder = point.load()(self._cache_folder, **self._options.get(point.name, {}))
        except EmbedderError:
            raise
        except Exception as error:
            raise EmbedderBroken(
                f"the embedder {point.name} cannot be loaded ({point.value}): "
                f"{type(error).__name__}: {error}"
            ) from error
        check_protocol(embedder, point.name)
        trim_heap()  # reading a model takes more memory than keeping it
        return BatchedEmbedder(embedder, max_waiting=self._max_waiting)

    def _forget_failure(self, name: str, done: asyncio.Task[BatchedEmbedder]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._loading.pop(name, None)


def check_protocol(embedder: object, name: str) -> None:
    """Raises `EmbedderBroken`, naming everything that keeps `embedder` from being an embedder."""
    faults = [
        f"`{attribute}` is not {wanted}"
        for attribute, wanted, good in (
            ("name", f"the name of its entry point, {name}", lambda v: v == name),
            ("revision", "a text of 1 to 64 characters", _is_short_text),
            (
                "dimension",
                f"a number from 1 to {MAX_DIMENSION}",
                lambda v: _is_count(v, MAX_DIMENSION),
            ),
            ("distance", "one of " + ", ".join(DISTANCES), lambda v: v in DISTANCES),
            (
                "image_px",
                f"a number from 1 to {MAX_IMAGE_PX}",
                lambda v: _is_count(v, MAX_IMAGE_PX),
            ),
            ("embed_images", "a method", callable),
        )
        if not good(getattr(embedder, attribute, None))
    ]
    if faults or not isinstance(embedder, Embedder):
        raise EmbedderBroken(f"the embedder {name} breaks the protocol: {'; '.join(faults)}")


def _is_short_text(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and 1 <= value <= most
