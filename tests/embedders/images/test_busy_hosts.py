"""Hosts that are busy, slow or asked by many: who is asked how often, and who waits for whom."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.embedders.images.fetch import FetchTerms
from lookalike.embedders.images.image_errors import ImageBusy, ImageGone, ImageNotFetched
from lookalike.embedders.images.origin_answers import read_retry_after
from tests.waiting import PATIENCE_SECONDS, until

from .web import Answer, Client, Gate, Web, Writer, answer

GOOD = answer(b"bytes")


def in_turn(answers: Iterable[bytes | None]) -> Answer:
    """Each request gets the next answer, and None breaks the connection off."""
    left = iter(answers)

    async def page(writer: Writer) -> None:
        body = next(left)
        if body is None:
            writer.transport.abort()
        else:
            writer.write(body)
            await writer.drain()

    return page


class TestRepetitions:
    @pytest.mark.parametrize(
        "first",
        [
            answer(status=429), answer(status=503, Retry_After="0"), None,
            answer(status=429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
            answer(b"half", length=5), answer(status=503, Retry_After="soon"),
        ],
        ids=["429", "503", "reset", "date", "short", "nonsense"],
    )  # fmt: skip
    async def test_what_is_soon_over_is_waited_for(self, web: Web, first: bytes | None) -> None:
        web.pages["/photo"] = in_turn([first, GOOD])
        async with Client(fetch_attempts=2) as client:
            assert await client.fetch(web.url()) == b"bytes"
        assert len(web.requests) == 2

    @pytest.mark.parametrize("status", [403, 404, 410, 500])
    async def test_what_is_not_is_not_asked_again(self, web: Web, status: int) -> None:
        web.pages["/photo"] = answer(status=status)
        async with Client(fetch_attempts=4) as client:
            with pytest.raises(ImageNotFetched):
                await client.fetch(web.url())
        assert len(web.requests) == 1

    @pytest.mark.parametrize("dated", [False, True])
    async def test_retry_after_is_heeded(self, web: Web, dated: bool) -> None:
        asked: list[float] = []
        told = 0.0

        async def page(writer: Writer) -> None:
            nonlocal told
            asked.append(time.time())
            if len(asked) > 1:
                writer.write(GOOD)
            else:
                told = float(int(asked[0]) + 3)  # A date has whole seconds.
                after = email.utils.formatdate(told, usegmt=True) if dated else "2"
                writer.write(answer(status=429, Retry_After=after))
            await writer.drain()

        web.pages["/photo"] = page
        async with Client(fetch_attempts=2) as client:
            assert await client.fetch(web.url()) == b"bytes"
        assert asked[1] >= (told if dated else asked[0] + 2)

    @pytest.mark.parametrize("after", ["3600", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
    async def test_a_wait_beyond_the_deadline_is_not_begun(self, web: Web, after: str) -> None:
        web.pages["/photo"] = answer(status=503, Retry_After=after)
        async with Client(fetch_attempts=4) as client:
            with pytest.raises(ImageBusy):
                await client.fetch(web.url())
        assert len(web.requests) == 1

    async def test_the_deadline_is_one_for_all_repetitions(self, web: Web) -> None:
        web.pages["/photo"] = answer(status=503)
        async with Client(fetch_attempts=100, fetch_timeout_s=1.5) as client:
            async with asyncio.timeout(PATIENCE_SECONDS / 2):
                with pytest.raises(ImageNotFetched):
                    await client.fetch(web.url())
        assert 1 <= len(web.requests) <= 3

    async def test_nobody_else_waits_meanwhile(self, web: Web) -> None:
        web.pages |= {"/photo": answer(status=503, Retry_After="60"), "/good": GOOD}
        async with Client(fetch_attempts=2, fetch_per_host=1) as client:
            busy = asyncio.create_task(client.fetch(web.url()))
            await until(lambda: len(web.requests) == 1, "the server has said that it is busy")
            assert await client.fetch(web.url("/good")) == b"bytes"
            assert not busy.done()
            busy.cancel()

    @given(st.binary(max_size=40))
    def test_any_retry_after_is_a_number_of_seconds(self, value: bytes) -> None:
        assert read_retry_after(value) >= 0


class TestTurns:
    async def test_a_host_is_never_asked_more_than_it_should_be(self, web: Web) -> None:
        gate = web.pages["/photo"] = Gate()
        async with Client(fetch_per_host=4) as client:
            inserts = [asyncio.create_task(client.fetch(web.url())) for _ in range(12)]
            await until(lambda: gate.waiting == 3, "an import is there, less one place")
            searches = [asyncio.create_task(client.fetch(web.url(), query=True)) for _ in range(4)]
            await until(lambda: gate.waiting == 4, "a search has the last place")
            gate.opened.set()
            await asyncio.gather(*inserts, *searches)
        assert gate.most == 4

    async def test_a_slow_host_holds_up_no_other(self, web: Web) -> None:
        gate = web.pages["/photo"] = Gate()
        web.pages["/good"] = GOOD
        async with Client(fetch_connections=4) as client:
            one = FetchTerms()
            slow = [asyncio.create_task(client.fetch(web.url(), one)) for _ in range(100)]
            await until(lambda: gate.waiting == 3, "the slow host has all that it gets")
            for terms in (one, FetchTerms()):
                good = web.url("/good", host="cdn.test")
                assert await client.fetch(good, terms) == b"bytes"
            assert not any(task.done() for task in slow)
            gate.opened.set()
            await asyncio.gather(*slow)

    async def test_requests_take_turns_at_a_host(self, web: Web) -> None:
        """One with a single image goes before the second half of one with many."""
        gate, order = Gate(), list[str]()
        web.pages |= {"/gate": gate, "/photo": GOOD}
        large, small = FetchTerms(), FetchTerms()

        async def fetch(name: str, terms: FetchTerms) -> None:
            await client.fetch(web.url(), terms)
            order.append(name)

        async with Client(fetch_per_host=1) as client:
            first = asyncio.create_task(client.fetch(web.url("/gate")))
            await until(lambda: gate.waiting == 1, "the only place is taken")
            tasks = [asyncio.create_task(fetch("large", large)) for _ in range(20)]
            await asyncio.sleep(0)  # They stand in the line before the small one comes.
            tasks.append(asyncio.create_task(fetch("small", small)))
            gate.opened.set()
            await asyncio.gather(first, *tasks)
        assert order.index("small") <= 2

    async def test_waiting_for_a_turn_does_not_count(self, web: Web) -> None:
        async def slow(writer: Writer) -> None:
            await asyncio.sleep(0.6)
            writer.write(GOOD)
            await writer.drain()

        web.pages["/photo"] = slow
        async with Client(fetch_per_host=1, fetch_timeout_s=3.0) as client:
            fetches = (client.fetch(web.url()) for _ in range(8))
            assert await asyncio.gather(*fetches) == [b"bytes"] * 8

    async def test_those_behind_a_dead_host_give_up_together(self, web: Web) -> None:
        """Each after the other would take ten times as long as one."""
        web.pages["/photo"] = Gate()
        began = time.monotonic()
        async with Client(fetch_per_host=1, fetch_timeout_s=1.0) as client:
            fetches = (client.fetch(web.url()) for _ in range(10))
            for found in await asyncio.gather(*fetches, return_exceptions=True):
                assert isinstance(found, ImageNotFetched)
        assert time.monotonic() - began < 8
        assert len(web.requests) <= 3

    async def test_who_leaves_the_line_leaves_nothing_behind(self, web: Web) -> None:
        gate = web.pages["/photo"] = Gate()
        web.pages["/gone"] = answer(status=410)
        async with Client(fetch_per_host=1) as client:
            tasks = [asyncio.create_task(client.fetch(web.url())) for _ in range(6)]
            await until(lambda: gate.waiting == 1, "one is there")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for _ in range(3):
                with pytest.raises(ImageGone):
                    await client.fetch(web.url("/gone"))
            turns = client.fetcher._turns
            assert (turns._hosts, turns._inserts.fetching, turns._inserts.requests) == ({}, 0, {})

    async def test_a_shorter_time_is_the_requests_own(self, web: Web) -> None:
        web.pages["/photo"] = Gate()
        async with Client(fetch_per_host=8) as client:
            with pytest.raises(ImageNotFetched, match=r"within 0\.3 s"):
                await client.fetch(web.url(), FetchTerms(timeout_s=0.3))
