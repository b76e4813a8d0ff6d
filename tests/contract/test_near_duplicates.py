"""Near duplicates are refused, and nothing else is, whoever sends them at the same time."""

from __future__ import annotations

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from typing import Any

import httpx
import pytest

from lookalike.cli.demo_images import DemoImage
from tests.contract.answers import ids
from tests.contract.conftest import Connect, NewServer
from tests.contract.images import base64_of, batches, image_of, jpeg
from tests.contract.processes import kill_all
from tests.contract.test_concurrent_clients import race
from tests.service import Answer, Service
from tests.waiting import PATIENCE_SECONDS, wait_until

SIDE_PX, QUALITY = 480, 60


@pytest.fixture(scope="module")
def images(products: list[DemoImage]) -> dict[str, dict[str, bytes]]:
    """Real images by the type of the collection that they belong in."""
    rooms = sorted((files("interior_photos") / "images").iterdir(), key=lambda file: file.name)
    return {
        "products": {product.id: product.image for product in products},
        "photos": {file.name: file.read_bytes() for file in rooms},
    }


@pytest.mark.parametrize("type_", ["products", "photos"])
def test_copies_are_refused_and_different_images_are_not(
    type_: str, service: Service, images: dict[str, dict[str, bytes]]
) -> None:
    collection = service.collection(type=type_)
    sent = {id_: jpeg(image, 800, 92) for id_, image in images[type_].items()}
    refused = insert(service, collection, sent)
    print(f"\n{type_}: {len(refused)} of {len(sent)} different images are taken for copies")
    assert not refused
    copies = {id_: jpeg(image, SIDE_PX, QUALITY) for id_, image in images[type_].items()}
    refused = insert(service, collection, {f"{id_} again": copy for id_, copy in copies.items()})
    print(f"{len(refused)} of {len(copies)} copies are recognised")
    assert len(refused) >= 0.95 * len(copies)
    for record in refused:
        nearest = record["_reason"]["near_duplicates"][0]["_id"]
        assert record["_id"] == f"{nearest} again"


@pytest.mark.parametrize("which", ["one process", "two processes"])
def test_a_picture_that_is_sent_eight_times_at_once_is_stored_once(
    which: str, connect: Connect, service: Service, admin: Service
) -> None:
    chosen = service if which == "one process" else admin
    clients = [connect(chosen.url, chosen.token) for _ in range(8)]
    collection = chosen.collection(type="matching")
    for round_ in range(5):
        image = image_of(round_ + 1)

        def insert(number: int, image: str = image, round_: int = round_) -> Answer:
            records = [{"_id": f"{round_}-{number}", "_base64": image}]
            return clients[number].answer("nearDupsInsert", collection, {"records": records})

        answers = race([partial(insert, number) for number in range(8)])
        (winner,) = [id_ for answer in answers for id_ in ids(answer)]
        assert sorted(answer["status"]["code"] for answer in answers) == [210] + [411] * 7
        stored = [id_ for id_ in chosen.ids(collection) if id_.startswith(f"{round_}-")]
        assert stored == [winner]
        for answer in answers:
            for record in answer.get("skipped_records", []):
                assert record["_reason"]["status"] == {"code": 211, "text": "near duplicate"}
                assert record["_reason"]["near_duplicates"] == [{"_id": winner}]


def test_after_a_kill_what_was_answered_is_there_and_pictures_go_in(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server()
    server.start()
    collection = connect(server.url).collection(type="matching")
    told: list[str] = []

    def load(number: int) -> None:
        client = Service(server.url)
        with contextlib.closing(client), contextlib.suppress(httpx.TransportError):
            for picture in itertools.count(1):
                records = [{"_id": f"{picture} of {number}", "_base64": image_of(picture)}]
                told.extend(ids(client.answer("nearDupsInsert", collection, {"records": records})))

    with ThreadPoolExecutor(4) as threads:
        loading = [threads.submit(load, number) for number in range(4)]
        wait_until(lambda: len(told) >= 10, "pictures are going in")
        kill_all(server)
        for one in loading:
            one.result(timeout=PATIENCE_SECONDS)
    server.start()
    client = connect(server.url)
    assert set(told) <= set(client.ids(collection))
    for picture in range(1, len(told) + 6):
        records = [{"_id": f"{picture} again", "_base64": image_of(picture)}]
        answer = client.answer("nearDupsInsert", collection, {"records": records})
        assert answer["status"]["code"] in (210, 411)
    stored = client.ids(collection)
    assert set(told) <= set(stored)
    pictures = [id_.partition(" ")[0] for id_ in stored]
    assert len(set(pictures)) == len(pictures), "what the kill has left behind has gone"


def insert(service: Service, collection: str, images: dict[str, bytes]) -> list[dict[str, Any]]:
    """The records that were refused as near duplicates."""
    records = [{"_id": id_, "_base64": base64_of(image)} for id_, image in images.items()]
    refused: list[dict[str, Any]] = []
    for batch in batches(records, 10):
        answer = service.answer("nearDupsInsert", collection, {"records": batch})
        refused += answer.get("skipped_records", [])
    assert all(record["_reason"]["status"]["text"] == "near duplicate" for record in refused)
    return refused
