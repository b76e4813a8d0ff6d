"""A feed that brings other pictures: what is searched follows what is stored."""

from __future__ import annotations

import base64
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from ximilar.client import search as clients

from tests.contract.answers import codes, search
from tests.contract.conftest import Connect, NewServer
from tests.contract.images import base64_of, image_of
from tests.contract.official import connect_client
from tests.contract.palette import COLOURS, distance, paint, png
from tests.contract.processes import kill_all
from tests.file_server import FileServer
from tests.service import Service
from tests.waiting import PATIENCE_SECONDS, wait_until

NAMES = ("red", "green", "blue")


@pytest.fixture
def feed(service: Service, file_server: FileServer) -> str:
    """Three paints by URL, and one that came as pixels."""
    collection = service.collection(embedder="palette")
    records = [{"_id": name, "_url": colour_url(file_server, name)} for name in NAMES]
    service.load(collection, [*records, paint("yellow")])
    return collection


def colour_url(files: FileServer, name: str) -> str:
    return files.add(f"/feed/{name}.png", base64.b64decode(png(COLOURS[name])))


def apart(service: Service, collection: str, id_: str, colour: str) -> float:
    """The distance of a stored record from a paint."""
    query = {"_base64": png(COLOURS[colour])}
    answer = search(service, collection, query, filter={"_id": id_})
    (found,) = answer["answer_distances"]
    return float(found)


def test_a_daily_feed(service: Service, feed: str, file_server: FileServer) -> None:
    """One picture is new, one is gone, one is as it was, one has new pixels."""
    before = len(file_server.requests)
    gone = file_server.url("/feed/not-there.png")
    new = colour_url(file_server, "teal")
    records: list[dict[str, Any]] = [
        {"_id": "red", "_url": new, "price": 1},
        {"_id": "green", "_url": gone, "price": 2},
        {"_id": "blue", "_url": file_server.url("/feed/blue.png"), "price": 3},
        {"_id": "yellow", "_base64": png(COLOURS["orange"]), "price": 4},
        {"_id": "unknown", "_url": new},
    ]
    for _ in range(2):
        answer = service.answer("update", feed, {"records": records})
        assert codes(answer) == (206, ["red", "blue", "yellow"], [410])
        assert answer["skipped_records"][0]["_id"] == "green"
        assert answer["answer_records"][0] == records[0]
        assert "pictures_not_read" not in answer["statistics"]
    asked = file_server.requests[before:]
    assert sorted(asked) == ["/feed/not-there.png", "/feed/not-there.png", "/feed/teal.png"]
    assert apart(service, feed, "red", "teal") == 0
    assert apart(service, feed, "red", "red") == pytest.approx(distance("red", "teal"), abs=1e-5)
    assert apart(service, feed, "yellow", "orange") == 0
    assert apart(service, feed, "green", "green") == 0
    assert service.stored(feed, "green") == {
        "_id": "green",
        "_url": colour_url(file_server, "green"),
    }
    body = {"query_record": {"_id": "red"}, "k": 1}
    assert service.answer("visualKNN", feed, body)["answer_distances"] == [0]


def test_only_refused_records_are_no_missing_ones(service: Service, feed: str) -> None:
    broken = {"_id": "red", "_base64": base64_of(b"no picture")}
    assert codes(service.answer("update", feed, {"records": [broken]})) == (400, [], [422])
    body = {"records": [broken, {"_id": "unknown"}]}
    assert codes(service.answer("update", feed, body)) == (404, [], [422])


def test_the_official_client_updates_a_picture(
    service: Service, feed: str, file_server: FileServer
) -> None:
    client = connect_client(clients.SimilarityPhotosClient, service, feed)
    answer = client.update([{"_id": "red", "_url": colour_url(file_server, "navy"), "n": 1}])
    assert answer["status"]["code"] == 200
    assert answer["answer_records"][0]["n"] == 1
    assert apart(service, feed, "red", "navy") == 0


def test_a_collection_may_keep_the_vectors_of_before(
    service: Service, feed: str, file_server: FileServer
) -> None:
    """As at the provider; but then the answer says so."""
    assert service.view(feed)["update_vectors"] is True
    assert service.change(feed, update_vectors=False).status_code == 200
    before = len(file_server.requests)
    new = colour_url(file_server, "teal")
    records = [
        {"_id": "red", "_url": new},
        {"_id": "green", "n": 1},
        {"_id": "yellow", "_url": new},
    ]
    answer = service.answer("update", feed, {"records": records})
    assert codes(answer) == (200, ["red", "green", "yellow"], [])
    assert answer["statistics"]["pictures_not_read"] == ["red", "yellow"]
    assert service.stored(feed, "red")["_url"] == new
    assert apart(service, feed, "red", "red") == 0
    assert len(file_server.requests) == before
    answer = service.answer("update", feed, {"records": records})
    assert "pictures_not_read" not in answer["statistics"], "the same again is no other picture"
    service.change(feed, update_vectors=True)
    record = {"_id": "red", "_base64": png(COLOURS["teal"])}
    service.answer("update", feed, {"records": [record]})
    assert apart(service, feed, "red", "teal") == 0
    assert service.view(service.collection(update_vectors=False))["update_vectors"] is False


def test_fields_are_removed(service: Service, feed: str) -> None:
    def update(**fields: Any) -> dict[str, Any]:
        return service.answer("update", feed, {"records": [{"_id": "yellow", **fields}]})

    before = service.stored(feed, "yellow")
    update(price=1, sale={"from": 1}, old=None)
    answer = update(**{"$unset": ["price", "old"], "n": 1})
    assert answer["answer_records"] == [before | {"sale": {"from": 1}, "n": 1}]
    update(**{"$unset": {"sale": "", "n": ""}})
    assert service.stored(feed, "yellow") == before
    assert service.answer("facets", feed, {"field": "price"})["facets"] == []
    refused = update(**{"$inc": {"n": 1}})
    assert codes(refused) == (400, [], [400])
    assert "$inc" in refused["skipped_records"][0]["_reason"]["status"]["text"]
    assert service.stored(feed, "yellow") == before


class Painter:
    """Changes picture and number of one record together, without pause."""

    def __init__(self, client: Service, collection: str) -> None:
        self.client = client
        self.collection = collection
        self.done = 0
        self.stopped = threading.Event()

    def at_work(self) -> bool:
        return self.done >= 5

    def run(self, numbers: Iterator[int]) -> None:
        try:
            for number in numbers:
                if self.stopped.is_set():
                    return
                record = {"_id": "a", "n": number, "_base64": image_of(number)}
                answer = self.client.answer("update", self.collection, {"records": [record]})
                assert answer["status"]["code"] == 200
                self.done += 1
        except httpx.TransportError:
            pass


def check_own_picture(client: Service, collection: str) -> None:
    """The record is seen with the picture that its number tells."""
    for number in (1, 2):
        query = {"_base64": image_of(number)}
        answer = search(client, collection, query, fields_to_return=["n"])
        (found,), (apart_bits,) = answer["answer_records"], answer["answer_distances"]
        assert (apart_bits == 0) == (found["n"] == number)


def test_two_processes_and_their_readers_see_whole_records(
    admin: Service, connect: Connect
) -> None:
    collection = admin.collection(type="matching")
    admin.load(collection, [{"_id": "a", "n": 1, "_base64": image_of(1)}])
    painters = [Painter(connect(admin.url, admin.token), collection) for _ in range(3)]
    orders = [(1, 2), (2, 1), (1, 1, 2)]
    with ThreadPoolExecutor(3) as threads:
        running = [
            threads.submit(painter.run, itertools.cycle(order))
            for painter, order in zip(painters, orders, strict=True)
        ]
        while not all(painter.done >= 10 for painter in painters):
            check_own_picture(admin, collection)
            for one in running:
                assert not one.done() or one.result() is None
        for painter in painters:
            painter.stopped.set()
        for one in running:
            one.result(timeout=PATIENCE_SECONDS)
    check_own_picture(admin, collection)


def test_a_kill_leaves_a_record_with_its_own_picture(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server()
    server.start()
    collection = connect(server.url).collection(type="matching")
    connect(server.url).load(collection, [{"_id": "a", "n": 1, "_base64": image_of(1)}])
    for _ in range(2):
        painter = Painter(connect(server.url), collection)
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(painter.run, itertools.cycle((1, 2)))
            wait_until(painter.at_work, "pictures are being changed")
            kill_all(server)
            running.result(timeout=PATIENCE_SECONDS)
        server.start()
        check_own_picture(connect(server.url), collection)
