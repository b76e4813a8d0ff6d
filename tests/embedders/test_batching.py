"""The queue in front of an embedder: order, bounds, cancellation, and the check of answers."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.embedders import batching
from lookalike.embedders.batching import BULK_TURN, WINDOW, BatchedEmbedder
from lookalike.embedders.embedder_errors import (
    EmbedderBroken,
    EmbedderClosed,
    EmbedderError,
    NoTextTower,
    Overloaded,
)
from tests.waiting import PATIENCE_SECONDS, until

from .plugins import Answering, Shade, Talking


def solid(red: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (red, 0, 0))


async def held(embedder: Shade, batched: BatchedEmbedder) -> asyncio.Task[Any]:
    """Puts image 0 into the worker, which waits at the gate: all others queue up behind it."""
    task = asyncio.create_task(batched.embed_image(solid(0), query=True))
    await asyncio.to_thread(embedder.called.wait, PATIENCE_SECONDS)
    return task


async def all_of(batched: BatchedEmbedder, *reds: int, query: bool = False) -> list[Any]:
    return await asyncio.gather(*(batched.embed_image(solid(r), query=query) for r in reds))


async def test_everyone_gets_their_own_vector() -> None:
    embedder = Shade(batch_size=4)
    batched = BatchedEmbedder(embedder)
    tasks = [batched.embed_image(solid(red), query=red % 2 == 0) for red in range(50)]
    vectors = await asyncio.gather(*tasks)
    assert [vector[0] for vector in vectors] == list(range(50))
    assert all(vector.dtype == np.float32 and vector.shape == (3,) for vector in vectors)
    assert vectors[9].tolist() == [9, 0, 0]
    assert len(embedder.threads) == 1
    await batched.close()
    assert embedder.closed


async def test_what_waits_goes_together_and_searches_go_first() -> None:
    embedder = Shade(batch_size=3, gate=threading.Event())
    batched = BatchedEmbedder(embedder)
    first = await held(embedder, batched)
    bulk = asyncio.create_task(all_of(batched, 101, 102, 103, 104))
    queries = asyncio.create_task(all_of(batched, 1, 2, 3, 4, query=True))
    await until(lambda: batched.waiting == 8, "all of them wait")
    assert embedder.gate is not None
    embedder.gate.set()
    await asyncio.gather(first, bulk, queries)
    assert embedder.batches == [[0], [1, 2, 3], [4, 101, 102], [103, 104]]
    await batched.close()


async def test_a_flood_of_searches_does_not_starve_the_inserts() -> None:
    embedder = Shade(gate=threading.Event())
    batched = BatchedEmbedder(embedder)
    first = await held(embedder, batched)
    bulk = asyncio.create_task(batched.embed_image(solid(200)))
    flood = [asyncio.create_task(batched.embed_image(solid(1), query=True)) for _ in range(40)]
    await asyncio.sleep(0)
    assert embedder.gate is not None
    embedder.gate.set()
    await asyncio.gather(first, bulk, *flood)
    assert embedder.batches.index([200]) == BULK_TURN + 1
    await batched.close()


async def test_a_request_gets_all_of_its_places_or_none() -> None:
    batched = BatchedEmbedder(Shade(), max_waiting=5)
    with batched.places(3) as three:
        with pytest.raises(Overloaded, match="inserts wait for the embedder shade") as caught:
            batched.places(3).__enter__()
        assert caught.value.retry
        with batched.places(2) as two, pytest.raises(Overloaded):
            batched.places(1).__enter__()
    assert (three, two) == (3, 2)
    with pytest.raises(ValueError, match="mine"), batched.places(5):
        raise ValueError("mine")
    with batched.places(5) as all_free_again:
        assert all_free_again == 5
    await batched.close()
    with pytest.raises(EmbedderClosed):
        batched.places(1).__enter__()


async def test_searches_and_inserts_have_places_of_their_own() -> None:
    batched = BatchedEmbedder(Shade(), max_waiting=2)
    with batched.places(2), batched.places(2, query=True):
        for query, kind in ((False, "inserts"), (True, "searches")):
            with pytest.raises(Overloaded, match=kind):
                batched.places(1, query=query).__enter__()
    await batched.close()


async def test_no_request_is_too_large_to_work_alone() -> None:
    for batch_size, most in ((1, WINDOW), (64, 64), (1000, 256)):
        batched = BatchedEmbedder(Shade(batch_size))
        with batched.places(10**6) as places:
            assert places == most
        await batched.close()


async def test_who_stops_waiting_leaves_the_queue_and_the_memory() -> None:
    embedder = Shade(gate=threading.Event())
    batched = BatchedEmbedder(embedder)
    first = await held(embedder, batched)
    image = solid(66)
    gone = weakref.ref(image)
    tasks = [
        asyncio.create_task(batched.embed_image(image)),
        asyncio.create_task(all_of(batched, 67, 68)),
    ]
    await until(lambda: batched.waiting == 3, "all of them wait")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    del image, tasks, task
    # The loop itself remembers the last exception for a turn.
    await until(lambda: gc.collect() >= 0 and gone() is None, "nobody holds the image")
    assert batched.waiting == 0
    first.cancel()  # it is in the worker already: nobody may trip over its answer
    await asyncio.sleep(0)
    assert embedder.gate is not None
    embedder.gate.set()
    assert (await batched.embed_image(solid(5)))[0] == 5
    assert embedder.batches == [[0], [5]]
    await batched.close()


async def test_closing_finishes_the_running_batch_and_refuses_the_rest() -> None:
    embedder = Shade(gate=threading.Event())
    batched = BatchedEmbedder(embedder)
    running = await held(embedder, batched)
    waiting = asyncio.create_task(all_of(batched, 1, 2))
    await until(lambda: batched.waiting == 2, "both wait")
    closing = asyncio.create_task(batched.close())
    await asyncio.sleep(0)
    with pytest.raises(EmbedderClosed):
        await batched.embed_image(solid(3))
    assert embedder.gate is not None
    embedder.gate.set()
    await closing
    assert (await running)[0] == 0
    with pytest.raises(EmbedderClosed):
        await waiting
    assert embedder.closed


async def test_text_goes_to_the_tower_or_is_refused() -> None:
    embedder = Talking(batch_size=8, gate=threading.Event())
    talking = BatchedEmbedder(embedder)
    assert talking.has_text
    first = await held(embedder, talking)
    mixed = asyncio.gather(
        *(talking.embed_text(text) for text in ("abc", "de")),
        talking.embed_image(solid(7), query=True),
        talking.embed_text("f"),
    )
    await asyncio.sleep(0)
    assert embedder.gate is not None
    embedder.gate.set()
    assert [vector[0] for vector in await mixed] == [97, 100, 7, 102]
    assert embedder.batches == [[0], [-3, -2], [7], [-1]], "one call, one kind"
    await first
    silent = BatchedEmbedder(Shade())
    assert not silent.has_text
    with pytest.raises(NoTextTower, match="shade"):
        await silent.embed_text("abc")
    await asyncio.gather(talking.close(), silent.close())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda n: np.ones((n, 4)), "shape"),
        (lambda n: np.ones((n + 1, 3)), "shape"),
        (lambda n: np.ones(3), "shape"),
        (lambda n: None, "shape"),
        (lambda n: [["a", "b", "c"]] * n, "failed"),
        (lambda n: [[1, 2], [3]], "failed"),
        (lambda n: np.full((n, 3), np.nan), "finite"),
        (lambda n: np.full((n, 3), 1e39), "finite"),
        (lambda n: np.zeros((n, 3)), "length zero"),
        (lambda n: 1 / 0, "failed"),
        (lambda n: exit(1), "failed"),
    ],
)
async def test_answers_that_are_no_vectors(answer: Callable[[int], Any], says: str) -> None:
    batched = BatchedEmbedder(Answering(answer, batch_size=4))
    with pytest.raises(EmbedderBroken, match=f"shade.*{says}"):
        await all_of(batched, 1, 2)
    await batched.close()


async def test_zero_is_a_vector_where_the_distance_can_tell_it() -> None:
    batched = BatchedEmbedder(Answering(lambda n: np.zeros((n, 3)), distance="manhattan"))
    assert not (await batched.embed_image(solid(1))).any()
    await batched.close()


async def test_one_bad_image_does_not_take_its_neighbours_along() -> None:
    class Choosy(Shade):
        def embed_images(self, images: Any) -> Any:
            vectors = super().embed_images(images)
            if (vectors[:, 0] == 13).any():
                raise ValueError("thirteen")
            return vectors

    embedder = Choosy(batch_size=4)
    batched = BatchedEmbedder(embedder)
    answers = await asyncio.gather(
        *(batched.embed_image(solid(red)) for red in (1, 12, 13, 14)), return_exceptions=True
    )
    assert [answer[0] for answer in answers if not isinstance(answer, BaseException)] == [1, 12, 14]
    assert isinstance(answers[2], EmbedderBroken)
    assert isinstance(answers[2].__cause__, ValueError)
    await batched.close()


async def test_memory_is_given_back_once_there_is_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[str] = []
    monkeypatch.setattr(batching, "IDLE_S", PATIENCE_SECONDS)
    monkeypatch.setattr(
        batching, "trim_heap", lambda: given.append(threading.current_thread().name)
    )
    batched = BatchedEmbedder(Shade())
    for _ in range(20):
        await batched.embed_image(solid(1))
        await asyncio.sleep(0.005)
    assert given == [], "not between two images"
    monkeypatch.setattr(batching, "IDLE_S", 0.05)
    await batched.embed_image(solid(1))
    await until(lambda: given, "the memory is given back")
    assert len(given) == 1
    assert given[0].startswith("embed-shade")
    loop: Any = asyncio.get_running_loop()
    planned: list[asyncio.TimerHandle] = []

    def call_later(*arguments: Any) -> asyncio.TimerHandle:
        planned.append(asyncio.BaseEventLoop.call_later(loop, *arguments))
        return planned[-1]

    monkeypatch.setattr(loop, "call_later", call_later)
    monkeypatch.setattr(batching, "IDLE_S", PATIENCE_SECONDS)
    await batched.embed_image(solid(1))
    await until(lambda: planned, "giving back is planned")
    await batched.close()
    assert all(handle.cancelled() for handle in planned), "not after the end"


Act = st.tuples(st.sampled_from(["query", "bulk", "many", "cancel", "breathe"]), st.integers(0, 9))


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(Act, max_size=40), batch_size=st.integers(1, 5))
def test_whatever_happens_everyone_gets_an_answer_once(
    acts: list[tuple[str, int]], batch_size: int
) -> None:
    async def run() -> None:
        embedder = Shade(batch_size=batch_size)
        batched = BatchedEmbedder(embedder)
        tasks: list[tuple[asyncio.Task[Any], Any]] = []
        for act, number in acts:
            if act == "cancel" and tasks:
                tasks[number % len(tasks)][0].cancel()
            elif act == "many":
                reds = list(range(number))
                tasks.append((asyncio.create_task(all_of(batched, *reds)), reds))
            elif act in ("query", "bulk"):
                one = all_of(batched, number, query=act == "query")
                tasks.append((asyncio.create_task(one), [number]))
            else:
                await asyncio.sleep(number / 5000)
        answers = await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        for answer, (_, wanted) in zip(answers, tasks, strict=True):
            if isinstance(answer, BaseException):
                assert isinstance(answer, (EmbedderError, asyncio.CancelledError))
            else:
                assert [vector[0] for vector in answer] == wanted
        assert batched.waiting == 0
        assert all(len(batch) <= batch_size for batch in embedder.batches)
        await batched.close()

    asyncio.run(run())


async def test_an_image_that_comes_again_is_not_embedded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "CACHE_BYTES", 3 * 4 * 2)  # room for two vectors
    shade = Shade()
    batched = BatchedEmbedder(shade)

    async def embed(red: int, content_hash: str | None) -> float:
        return float((await batched.embed_image(solid(red), content_hash=content_hash))[0])

    assert [await embed(red, "a") for red in (1, 2)] == [1, 1]
    assert await embed(3, "b") == 3
    assert await embed(4, "a") == 1
    assert await embed(5, "c") == 5  # "b" was used longest ago
    assert [await embed(6, "b"), await embed(7, "b"), await embed(8, "c")] == [6, 6, 5]
    assert [await embed(9, None), await embed(10, None)] == [9, 10]
    assert [red for batch in shade.batches for red in batch] == [1, 3, 5, 6, 9, 10]
    await batched.close()
