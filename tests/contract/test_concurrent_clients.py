"""Several clients at once, in one process and in two."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.contract.conftest import Connect
from tests.service import Service

pytestmark = pytest.mark.usefixtures("healthy_afterwards")


def race(callers: list[Callable[[], Any]]) -> list[Any]:
    barrier = threading.Barrier(len(callers))

    def run(caller: Callable[[], Any]) -> Any:
        barrier.wait()
        return caller()

    with ThreadPoolExecutor(len(callers)) as threads:
        return list(threads.map(run, callers))


@pytest.mark.parametrize("which", ["one process", "two processes"])
def test_two_clients_insert_the_same_id(
    which: str, connect: Connect, service: Service, admin: Service, image: str
) -> None:
    chosen = service if which == "one process" else admin
    clients = [connect(chosen.url, chosen.token) for _ in range(4)]
    collection = chosen.collection()
    for round_ in range(15):

        def insert(number: int, round_: int = round_) -> dict[str, Any]:
            shared = {"_id": f"same {round_}", "_base64": image, "by": number}
            own = {"_id": f"{number} {round_}", "_base64": image, "by": number}
            records = [shared, own] if number % 2 else [own, shared]
            return clients[number].answer("insert", collection, {"records": records})

        answers = race([partial(insert, number) for number in range(4)])
        told = [
            number
            for number, answer in enumerate(answers)
            if f"same {round_}" in [r["_id"] for r in answer["answer_records"]]
        ]
        assert len(told) == 1
        assert chosen.stored(collection, f"same {round_}")["by"] == told[0]
        for number, answer in enumerate(answers):
            assert f"{number} {round_}" in [r["_id"] for r in answer["answer_records"]]
            if number not in told:
                assert answer["status"]["code"] == 211
                (skipped,) = answer["skipped_records"]
                assert skipped["_reason"]["status"]["code"] == 211


@pytest.mark.parametrize("which", ["one process", "two processes"])
def test_updates_of_different_fields_lose_nothing(
    which: str, connect: Connect, service: Service, admin: Service, image: str
) -> None:
    chosen = service if which == "one process" else admin
    clients = [connect(chosen.url, chosen.token) for _ in range(6)]
    collection = chosen.collection()
    ids = ["a", "b"]
    chosen.load(collection, [{"_id": id_, "_base64": image} for id_ in ids])
    expected: dict[str, Any] = {}
    for round_ in range(8):

        def update(number: int, round_: int = round_) -> dict[str, Any]:
            fields = {f"field {number}": round_, f"{number}-{round_}": True, "tags": [str(number)]}
            records = [{"_id": id_, **fields} for id_ in ids]
            return clients[number].answer("update", collection, {"records": records})

        for number, answer in enumerate(race([partial(update, number) for number in range(6)])):
            assert answer["status"]["code"] == 200
            assert [r[f"field {number}"] for r in answer["answer_records"]] == [round_, round_]
            expected |= {f"field {number}": round_, f"{number}-{round_}": True}
    for id_ in ids:
        record = chosen.stored(collection, id_)
        assert record.pop("tags") in [[str(number)] for number in range(6)]
        assert record == {"_id": id_, **expected}


def test_update_and_delete_at_once(service: Service, collection: str, image: str) -> None:
    """Whoever is first: a deleted record does not come back."""
    for round_ in range(15):
        id_ = str(round_)
        service.load(collection, [{"_id": id_, "_base64": image}])
        changed = {"records": [{"_id": id_, "x": 1}]}
        updated, deleted = race(
            [
                partial(service.answer, "update", collection, changed),
                partial(service.answer, "delete", collection, {"records": [{"_id": id_}]}),
            ]
        )
        assert updated["status"]["code"] in (200, 404)
        assert deleted["status"]["code"] == 220
    assert service.ids(collection) == []


def test_a_capacity_holds_with_many_clients(service: Service, image: str) -> None:
    collection = service.collection(capacity=7)

    def insert(number: int) -> int:
        records = [{"_id": f"{number}-{n}", "_base64": image} for n in range(3)]
        inserted: int = service.answer("insert", collection, {"records": records})["answer_count"]
        return inserted

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(insert, range(6))) == 7
    assert len(service.ids(collection)) == 7
