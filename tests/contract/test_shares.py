"""No token takes all places: what is over its share is 429, and others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.adapter import callers
from lookalike.adapter.callers import SharedPlaces
from lookalike.adapter.errors import TooManyRequests
from tests.contract.conftest import Connect
from tests.file_server import FileServer, Held
from tests.live import LiveServer, live_server

GREEDY, MODEST = "a-token-of-a-greedy-caller", "a-token-of-a-modest-caller"
PICTURES, WINDOW = 256, 32
"""Under way in one process, and of one request."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    environment = {
        "LOOKALIKE_TOKENS": f"{GREEDY},{MODEST}",
        "LOOKALIKE_TOKEN_SHARE": "0.25",
        "LOOKALIKE_FETCH_ALLOW": "127.0.0.1",
    }
    with live_server(tmp_path_factory.mktemp("shared"), environment) as server:
        yield server


def test_a_greedy_token_leaves_places_to_others(
    shared: LiveServer, connect: Connect, file_server: FileServer, image: str
) -> None:
    greedy, modest = connect(shared.url, GREEDY), connect(shared.url, MODEST)
    collection = modest.collection()
    page = Held(file_server.url("/held"), b"no picture")
    file_server.pages["/held"] = page

    def insert(request: int) -> httpx.Response:
        records = [{"_id": f"{request}-{n}", "_url": page.url} for n in range(WINDOW)]
        return connect(shared.url, GREEDY).call("insert", collection, {"records": records})

    with ThreadPoolExecutor(8) as pool:
        waiting: list[Future[httpx.Response]] = []
        try:
            waiting += [pool.submit(insert, n) for n in range(PICTURES // WINDOW // 4)]
            assert page.asked.wait(60)
            refused = until_refused(greedy, collection, image)
            assert refused.status_code == 429
            assert refused.headers["Retry-After"] == "1"
            assert refused.json()["status"]["code"] == 429
            # What needs no picture has its own share.
            assert greedy.answer("get", collection, {"records": [{"_id": "1"}]})
            modest.load(collection, [{"_id": "1", "_base64": image}])
        finally:
            page.let_go.set()
        assert {future.result().status_code for future in waiting} == {200}
    greedy.load(collection, [{"_id": "2", "_base64": image}])


def until_refused(greedy: Any, collection: str, image: str) -> httpx.Response:
    """The requests before it may be on their way still."""
    for number in range(1000):
        records = [{"_id": f"more {number}-{n}", "_base64": image} for n in range(2)]
        answer: httpx.Response = greedy.call("insert", collection, {"records": records})
        if answer.status_code != 200:
            return answer
    raise AssertionError("never refused")


async def test_shares_of_places() -> None:
    places = SharedPlaces(10, 0.5)
    held = []

    async def work(caller: bytes | None, counts: list[int]) -> list[bool]:
        callers.begin(caller)
        taken = []
        for count in counts:
            held.append(places.take(count, "the places"))
            try:
                held[-1].__enter__()
                taken.append(True)
            except TooManyRequests:
                taken.append(False)
        return taken

    # Each in a task of its own: what one has does not count for the other.
    assert await asyncio.create_task(work(b"a", [3, 2, 1])) == [True, True, False]
    assert await asyncio.create_task(work(b"b", [9, 1])) == [True, False]
    assert await asyncio.create_task(work(b"a", [1])) == [False]
    assert await asyncio.create_task(work(None, [100, 100])) == [True, True]


def test_places_are_given_back() -> None:
    places = SharedPlaces(4, 0.5)
    callers.begin(b"a")
    try:
        for _ in range(3):
            with places.take(2, "the places"), pytest.raises(TooManyRequests):
                places.take(1, "the places").__enter__()
        with pytest.raises(ValueError, match="mine"), places.take(2, "the places"):
            raise ValueError("mine")
        with places.take(2, "the places"):
            pass
    finally:
        callers.begin(None)


def test_a_single_token_has_all_places(tmp_path: Path, connect: Connect, image: str) -> None:
    with live_server(
        tmp_path, {"LOOKALIKE_TOKENS": GREEDY, "LOOKALIKE_TOKEN_SHARE": "0.01"}
    ) as one:
        client = connect(one.url, GREEDY)
        collection = client.collection()
        records = [{"_id": str(n), "_base64": image} for n in range(100)]
        with ThreadPoolExecutor(8) as pool:
            bodies = [{"records": records[n::8]} for n in range(8)]
            answers = list(
                pool.map(lambda b: connect(one.url, GREEDY).call("insert", collection, b), bodies)
            )
        assert {answer.status_code for answer in answers} == {200}
