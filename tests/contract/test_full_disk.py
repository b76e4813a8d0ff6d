"""A full disk: nothing is added, everything else goes on, and it ends without a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Connect
from tests.contract.images import base64_of
from tests.live import LiveServer, live_server
from tests.service import Service
from tests.small_disk import SmallDisk, small_disk
from tests.waiting import wait_until

SETTINGS = {"LOOKALIKE_DISK_RESERVE_MB": "64"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path) as made:
        yield made


def engine_report(client: Service) -> dict[str, Any]:
    report: dict[str, Any] = client.http.get("/readyz").json()["engine"]
    return report


def fill_to_the_last(disk: SmallDisk, data: Path) -> None:
    """Beyond all that the engine gives up."""
    disk.fill()
    wait_until(lambda: has_nothing_left(disk, data), "nothing is left")


def has_nothing_left(disk: SmallDisk, data: Path) -> bool:
    disk.fill()
    return not (data / "ballast").stat().st_size


def assert_nothing_is_added(client: Service, collection: str, image: str) -> None:
    for method, body in (
        ("insert", {"records": [{"_id": "new", "_base64": image}]}),
        ("update", {"records": [{"_id": "9", "price": 3}]}),
    ):
        answer = client.call(method, collection, body)
        assert answer.status_code == 507, answer.text
        assert answer.json()["status"]["code"] == 507
        assert "The disk is full" in answer.json()["status"]["text"]
        assert int(answer.headers["Retry-After"]) > 0
    refused = client.http.post("/similarity/v2/collection", json={"name": "another"})
    assert refused.status_code == 507
    assert "The disk is full" in refused.json()["detail"]


def assert_the_rest_goes_on(client: Service, collection: str, image: str, left: int) -> None:
    """`left`: the records that are there."""
    found = client.answer("visualKNN", collection, {"query_record": {"_base64": image}, "k": 100})
    assert found["answer_count"] == left
    listed = client.answer("allRecords", collection, {"page": 1, "size": 100})
    assert len(listed["answer_records"]) == left


def test_a_disk_that_something_else_fills(
    disk: SmallDisk, connect: Connect, thumbnails: dict[str, bytes]
) -> None:
    images = {id_: base64_of(image) for id_, image in thumbnails.items()}
    data = disk.path / "data"
    with live_server(data, SETTINGS) as server:
        client = connect(server.url)
        collection = client.collection()
        client.load(collection, [{"_id": id_, "_base64": images[id_]} for id_ in images])
        count = len(images)
        assert not engine_report(client)["disk_full"]
        disk.fill()
        wait_until(lambda: engine_report(client)["disk_full"], "the disk is seen to be full")
        worker = worker_of(data)
        assert_nothing_is_added(client, collection, images["1"])
        assert_the_rest_goes_on(client, collection, images["1"], count)
        client.answer("delete", collection, {"records": [{"_id": "1"}, {"_id": "2"}]})
        assert_the_rest_goes_on(client, collection, images["1"], count - 2)
        assert worker_of(data) == worker
        server.kill()

        # The next start loads on a disk that is full.
        server.start()
        client = connect(server.url)
        assert_nothing_is_added(client, collection, images["1"])
        assert_the_rest_goes_on(client, collection, images["1"], count - 2)
        client.answer("delete", collection, {"records": [{"_id": "3"}]})
        stop_and_start(server)
        client = connect(server.url)
        assert_the_rest_goes_on(client, collection, images["1"], count - 3)
        spare = client.http.get("/similarity/v2/collection").json()
        assert collection in str(spare)

        # Room again, and no restart.
        disk.clear()
        wait_until(lambda: not engine_report(client)["disk_full"], "the disk has room again")
        client.load(collection, [{"_id": "1", "_base64": images["1"]}])
        client.answer("update", collection, {"records": [{"_id": "9", "price": 3}]})
        assert_the_rest_goes_on(client, collection, images["1"], count - 2)


def test_a_disk_on_which_not_even_the_ballast_is_left(
    disk: SmallDisk, connect: Connect, thumbnails: dict[str, bytes]
) -> None:
    image = base64_of(thumbnails["1"])
    data = disk.path / "data"
    with live_server(data, SETTINGS) as server:
        client = connect(server.url)
        collection, other = client.collection(), client.collection()
        for each in (collection, other):
            client.load(each, [{"_id": id_, "_base64": image} for id_ in ("1", "9")])
        fill_to_the_last(disk, data)
        worker = worker_of(data)
        assert_nothing_is_added(client, collection, image)
        refused = client.call("delete", collection, {"records": [{"_id": "1"}]})
        assert refused.status_code == 507
        assert "Searches go on" in refused.json()["status"]["text"]
        assert_the_rest_goes_on(client, collection, image, 2)
        assert worker_of(data) == worker
        stop_and_start(server)
        client = connect(server.url)

        # It answers, says why nothing is there, and loads as soon as there is room.
        waiting = client.call("visualKNN", collection, {"query_record": {"_id": "1"}})
        assert waiting.status_code == 503
        assert "the disk is full" in waiting.json()["status"]["text"]
        assert len(engine_report(client)["postponed"]) >= 2
        disk.clear()
        wait_until(lambda: not engine_report(client)["postponed"], "everything is loaded")
        for each in (collection, other):
            assert_the_rest_goes_on(client, each, image, 2)
        client.load(collection, [{"_id": "new", "_base64": image}])


def test_a_collection_may_be_deleted_on_a_full_disk(
    disk: SmallDisk, connect: Connect, image: str
) -> None:
    with live_server(disk.path / "data", SETTINGS) as server:
        client = connect(server.url)
        collection, other = client.collection(), client.collection(name="rubbish")
        for each in (collection, other):
            client.load(each, [{"_id": id_, "_base64": image} for id_ in ("1", "9")])
        disk.fill()
        wait_until(lambda: engine_report(client)["disk_full"], "the disk is seen to be full")
        gone = client.http.delete(f"/similarity/v2/collection/{other}")
        assert gone.status_code == 204, gone.text
        assert_the_rest_goes_on(client, collection, image, 2)
        disk.clear()
        wait_until(lambda: not engine_report(client)["disk_full"], "the disk has room again")
        client.collection(name="rubbish")


def worker_of(data: Path) -> str:
    """The process ids of the service and of its engine."""
    return (data / "lock").read_text()


def stop_and_start(server: LiveServer) -> None:
    server.stop()
    server.start()
