"""Who uses the engine next, decided without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from lookalike.adapter.engines.embedded.worker.scheduler import Scheduler


class Clock:
    """Passes only while something works, so that other work on the machine changes nothing."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def steps(
        self, log: list[str], name: str, count: int, seconds: float = 0.004
    ) -> Iterator[None]:
        for _ in range(count):
            self.now_s += seconds
            log.append(name)
            yield


def ignore(error: BaseException | None) -> None:
    assert error is None


def make() -> tuple[Scheduler, Clock, list[BaseException]]:
    clock, fatal = Clock(), list[BaseException]()
    return Scheduler(asyncio.get_running_loop(), fatal.append, clock), clock, fatal


async def turns() -> None:
    """Several turns of the event loop: whatever can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_reads_go_between_the_slices_of_a_write() -> None:
    scheduler, clock, _ = make()
    log: list[str] = []
    write = asyncio.create_task(scheduler.run("a", clock.steps(log, "write", 3)))
    await asyncio.sleep(0)
    for _ in range(4):
        scheduler.read("client", clock.steps(log, "read", 1, seconds=0.001), ignore)
    await write
    assert log.index("read") <= 1
    assert log.count("read") == 4
    assert log[-1] == "write"


async def test_a_write_goes_on_under_reads_that_never_end() -> None:
    scheduler, clock, _ = make()
    log: list[str] = []

    def read(error: BaseException | None = None) -> None:
        assert error is None
        scheduler.read("client", clock.steps(log, "read", 1, seconds=0.001), read)

    read()
    await asyncio.wait_for(scheduler.run("a", clock.steps(log, "a", 5)), 60)
    scheduler.stop()
    # Twice the time for reads: about 8 reads of 1 ms to a step of 4 ms.
    assert 10 < log.count("read") < 100


async def test_short_reads_pass_long_ones_which_go_on_all_the_same() -> None:
    scheduler, clock, _ = make()
    log: list[str] = []
    answered = 0

    def read(error: BaseException | None = None) -> None:
        nonlocal answered
        assert error is None
        answered += 1
        scheduler.read("client", clock.steps(log, "short", 1, seconds=0.001), read)

    ended = asyncio.Event()
    for name in ("long", "longer"):
        scheduler.read("client", clock.steps(log, name, 20), lambda _: ended.set())
    read()
    await asyncio.wait_for(ended.wait(), 60)
    scheduler.stop()
    first = log.index("short")
    # It waits for those that had come before it, and for a step of them.
    assert first <= 3
    # Never two steps of long reads together: a short one waits for one of them.
    pairs = list(zip(log[first:], log[first + 1 :], strict=False))
    assert not [pair for pair in pairs if "short" not in pair]
    # The two take turns.
    assert abs(log.count("long") - log.count("longer")) <= 1
    assert answered > 100


async def test_clients_and_collections_take_turns() -> None:
    scheduler, clock, _ = make()
    log: list[str] = []
    for client, count in (("greedy", 6), ("modest", 2)):
        for _ in range(count):
            scheduler.read(client, clock.steps(log, client, 1), ignore)
    await asyncio.gather(
        scheduler.run("a", clock.steps(log, "a", 4)), scheduler.run("b", clock.steps(log, "b", 2))
    )
    reads = [entry for entry in log if entry in ("greedy", "modest")]
    assert reads == [*["greedy", "modest"] * 2, *["greedy"] * 4]
    writes = [entry for entry in log if entry in "ab"]
    assert writes[:4] == ["a", "b", "a", "b"]


async def test_writes_of_one_collection_keep_their_order() -> None:
    scheduler, clock, _ = make()
    log: list[str] = []
    await asyncio.gather(
        *[scheduler.run("a", clock.steps(log, name, 3)) for name in ("first", "second", "third")]
    )
    assert log == ["first"] * 3 + ["second"] * 3 + ["third"] * 3


async def test_a_small_write_is_one_slice() -> None:
    scheduler, clock, _ = make()
    log: list[str] = []
    scheduler.read("client", clock.steps(log, "read", 1), ignore)
    write = asyncio.create_task(scheduler.run("a", clock.steps(log, "write", 3, seconds=0.0)))
    await asyncio.sleep(0)
    await write
    assert log in (["read", *["write"] * 3], [*["write"] * 3, "read"])


async def test_a_held_queue_waits_and_the_others_do_not() -> None:
    scheduler, clock, _ = make()
    log: list[str] = []
    scheduler.hold("a")
    held = asyncio.create_task(scheduler.run("a", clock.steps(log, "a", 1)))
    await scheduler.run("b", clock.steps(log, "b", 1))
    await turns()
    assert log == ["b"]
    scheduler.release("a")
    await held
    assert log == ["b", "a"]


async def test_errors_reach_who_waits_and_panics_also_the_worker() -> None:
    class Panic(BaseException):
        """As the engine's: not an Exception."""

    def failing(error: BaseException) -> Iterator[None]:
        yield
        raise error

    scheduler, clock, fatal = make()
    with pytest.raises(KeyError):
        await scheduler.run("a", failing(KeyError()))
    assert fatal == []
    with pytest.raises(Panic):
        await scheduler.run("a", failing(Panic()))
    assert [type(error) for error in fatal] == [Panic]
    await scheduler.run("a", clock.steps([], "a", 1))


async def test_nothing_runs_after_the_end() -> None:
    scheduler, clock, _ = make()
    log: list[str] = []
    scheduler.read("client", clock.steps(log, "read", 1), ignore)
    scheduler.stop()
    scheduler.read("client", clock.steps(log, "read", 1), ignore)
    await turns()
    assert log == []
