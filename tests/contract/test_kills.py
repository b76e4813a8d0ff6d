"""The service killed: nothing acknowledged is lost, and it starts again."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.conftest import Connect, NewServer
from tests.contract.processes import descendants, kill_all
from tests.engines.embedded.supervisors import alive
from tests.live import LiveServer, lookalike
from tests.service import Service
from tests.waiting import PATIENCE_SECONDS, wait_until


def test_the_port_is_free_after_the_main_process_was_killed(
    new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start("--workers", "2")
    client = connect(server.url)
    collection = client.collection()
    client.load(collection, [{"_id": "1", "_base64": image}])
    assert server.process is not None
    everyone = descendants(server.process.pid)
    server.kill()
    wait_until(lambda: not any(map(alive, everyone)), "every process of the service has ended")
    server.start()
    assert connect(server.url).ids(collection) == ["1"]


class Shop:
    """A client that inserts, updates and deletes without pause, and remembers what it was told."""

    def __init__(self, url: str, collection: str, name: str, image: str) -> None:
        self.client = Service(url)
        self.collection = collection
        self.name = name
        self.image = image
        self.told: dict[str, dict[str, Any] | None] = {}
        self.unknown: set[str] = set()
        """Records whose last request was not answered: either state is right."""
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            for number in itertools.count():
                if self.stopped.is_set():
                    return
                self._round(number)
        except httpx.TransportError:
            pass
        finally:
            self.client.close()

    def _round(self, number: int) -> None:
        ids = [f"{self.name} {number} {n}" for n in range(3)]
        self.unknown = set(ids)
        records: list[dict[str, Any]] = [{"_id": id_, "n": number} for id_ in ids]
        self._call("insert", [record | {"_base64": self.image} for record in records])
        self.told |= {record["_id"]: record for record in records}
        self.unknown = {ids[0]}
        self._call("update", [{"_id": ids[0], "updated": True}])
        self.told[ids[0]] = {"_id": ids[0], "n": number, "updated": True}
        self.unknown = {ids[1]}
        self._call("delete", [{"_id": ids[1]}])
        self.told[ids[1]] = None
        self.unknown = set()

    def _call(self, method: str, records: list[dict[str, Any]]) -> None:
        answer = self.client.answer(method, self.collection, {"records": records})
        assert answer["answer_count"] == len(records)


@pytest.mark.parametrize("kill", [kill_all, LiveServer.kill], ids=["all of it", "its main process"])
def test_nothing_acknowledged_is_lost_by_a_kill(
    kill: Callable[[LiveServer], object], new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start()
    collection = connect(server.url).collection(fields_to_index=["n"])
    with shops_at_work(server, collection, image) as shops:
        kill(server)
        for running in shops.values():
            running.result(timeout=PATIENCE_SECONDS)
    if kill is kill_all:  # what is left behind is in nobody's way, a command's neither
        listed = lookalike("collections", "list", "--data", str(server.data))
        assert listed.returncode == 0, listed.stderr
        assert collection in listed.stdout
    server.start()
    check_told(connect(server.url), collection, shops, image)


def test_nothing_acknowledged_is_lost_by_a_kill_of_the_worker(
    new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start()
    collection = connect(server.url).collection(fields_to_index=["n"])
    with shops_at_work(server, collection, image) as shops:
        assert server.process is not None
        for pid in descendants(server.process.pid):
            os.kill(pid, signal.SIGKILL)
        before = {shop: len(shop.told) for shop in shops}
        wait_until(
            lambda: all(
                running.done() or len(shop.told) > before[shop] + 1
                for shop, running in shops.items()
            ),
            "every shop goes on, or was told to try again",
        )
        for shop in shops:
            shop.stopped.set()
        for running in shops.values():
            # A request in flight fails with an error that says to try again.
            error = running.exception(timeout=PATIENCE_SECONDS)
            assert error is None or '"code":503' in str(error), error
    server.wait_ready()
    check_told(connect(server.url), collection, shops, image)


@contextlib.contextmanager
def shops_at_work(
    server: LiveServer, collection: str, image: str
) -> Iterator[dict[Shop, Future[None]]]:
    shops = [Shop(server.url, collection, str(number), image) for number in range(3)]
    with ThreadPoolExecutor(3) as threads:
        running = {shop: threads.submit(shop.run) for shop in shops}
        wait_until(lambda: all(len(shop.told) >= 15 for shop in shops), "every shop is at work")
        try:
            yield running
        finally:
            for shop in shops:
                shop.stopped.set()


def check_told(client: Service, collection: str, shops: Iterable[Shop], image: str) -> None:
    """What the shops were told is so, and the collection takes records again."""
    body = {"fields_to_return": ["*"]}
    stored = {r["_id"]: r for r in client.answer("allRecords", collection, body)["answer_records"]}
    checked = 0
    for shop in shops:
        for id_, record in shop.told.items():
            if id_ not in shop.unknown:
                assert stored.get(id_) == record
                checked += 1
    assert checked >= 40
    client.load(collection, [{"_id": "afterwards", "_base64": image}])
