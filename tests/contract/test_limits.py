"""What is bounded, by default and in the strict mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.contract.images import MEBIBYTE, base64_of, encoded, opened
from tests.live import live_server
from tests.service import Service

pytestmark = pytest.mark.usefixtures("healthy_afterwards")


def test_a_body_over_the_limit(service: Service, collection: str) -> None:
    body = b'{"records": [' + b" " * (64 * MEBIBYTE) + b"]}"
    answer = service.send("insert", collection, body)
    assert answer.status_code == 413
    assert answer.json()["status"]["code"] == 413

    def chunks() -> Iterator[bytes]:
        for begin in range(0, len(body), MEBIBYTE):
            yield body[begin : begin + MEBIBYTE]

    answer = service.http.post(
        "/similarity/photos/v2/insert", content=chunks(), headers={"collection-id": collection}
    )
    assert answer.status_code == 413
    assert answer.json()["status"]["code"] == 413


@pytest.mark.parametrize("method", ["insert", "update", "delete", "get"])
def test_more_records_than_allowed(
    method: str, service: Service, collection: str, image: str
) -> None:
    records = [{"_id": str(number), "_base64": "x"} for number in range(101)]
    answer = service.call(method, collection, {"records": records})
    assert answer.status_code == 400
    assert "at most 100 records (at $.records)" in answer.json()["detail"]
    assert service.call(method, collection, {"records": records[:100]}).status_code == 200


def test_a_full_collection(service: Service, image: str) -> None:
    collection = service.collection(capacity=3)

    def insert(*ids: str) -> tuple[Any, ...]:
        records = [{"_id": id_, "_base64": image} for id_ in ids]
        answer = service.answer("insert", collection, {"records": records})
        skipped = [r["_reason"]["status"] for r in answer.get("skipped_records", [])]
        return answer["status"], [r["_id"] for r in answer["answer_records"]], skipped

    full = {"code": 412, "text": "hard capacity exceeded"}
    some = {"code": 211, "text": "some records inserted"}
    assert insert("1", "2")[1] == ["1", "2"]
    assert insert("3", "4", "5") == (some, ["3"], [full, full])
    assert insert("6") == (full, [], [full])
    assert insert("1")[0]["code"] == 411
    assert sorted(service.ids(collection)) == ["1", "2", "3"]
    service.answer("delete", collection, {"records": [{"_id": "2"}]})
    assert insert("6")[1] == ["6"]
    service.change(collection, capacity=None)
    assert insert("7")[1] == ["7"]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that acts as the provider does, with small limits."""
    environment = {
        "LOOKALIKE_STRICT": "true",
        "LOOKALIKE_MIRROR_STATUS": "true",
        "LOOKALIKE_ANY_PREFIX": "true",
        "LOOKALIKE_MAX_BODY_BYTES": "200000",
        "LOOKALIKE_MAX_IMAGE_BYTES": "50000",
        "LOOKALIKE_MAX_IMAGE_PIXELS": "100000",
        "LOOKALIKE_MAX_RESULTS": "2",
    }
    folder: Path = tmp_path_factory.mktemp("strict")
    with live_server(folder, environment) as server:
        client = Service(server.url)
        yield client
        client.close()


@pytest.fixture(scope="module")
def small(strict: Service, image: str) -> str:
    """A collection of four records, in the strict mode."""
    collection = strict.collection(type="products")
    strict.load(collection, [{"_id": str(n), "_base64": image} for n in range(4)])
    return collection


def test_strict_requests_have_ten_records(strict: Service, small: str, image: str) -> None:
    records = [{"_id": f"more {n}", "_base64": image[:-4]} for n in range(11)]
    answer = strict.call("insert", small, {"records": records})
    assert answer.status_code == 400
    assert "at most 10 records" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "prefix", "code"),
    [
        ("ping", "similarity/fashion-new", 200),  # it asks for no collection
        ("allRecords", "similarity/fashion-new", 400),
        ("allRecords", "my/own", 200),
    ],
)
def test_strict_prefixes(method: str, prefix: str, code: int, strict: Service, small: str) -> None:
    answer = strict.call(method, small, prefix=prefix)
    assert answer.status_code == code
    assert code == 200 or "products collection" in answer.json()["detail"]


def test_strict_images(strict: Service, image: str, thumbnails: dict[str, bytes]) -> None:
    collection = strict.collection()
    large = base64_of(encoded(opened(thumbnails["1"]).resize((400, 400)), "JPEG"))
    noise = base64_of(encoded(Image.effect_noise((300, 300), 90), "PNG"))
    for data, word in ((large, "pixels"), (noise, "bytes")):
        records = [{"_id": "x", "_base64": data}, {"_id": word, "_base64": image}]
        body = strict.call("insert", collection, {"records": records}).json()
        assert word in body["skipped_records"][0]["_reason"]["status"]["text"]


def test_strict_bodies(strict: Service, small: str, image: str) -> None:
    records: list[dict[str, Any]] = [{}] * 9 + [{"x": image * 100}]
    assert strict.call("insert", small, {"records": records}).status_code == 413


@pytest.mark.parametrize(
    ("method", "body", "code"),
    [
        ("insert", {"records": [{"_id": "1"}]}, 411),
        ("get", {"records": [{"_id": "no"}]}, 404),
        ("visualKNN", {"query_record": {"_id": "no"}}, 404),
    ],
)
def test_a_mirrored_status(
    method: str, body: dict[str, Any], code: int, strict: Service, small: str, image: str
) -> None:
    if method == "insert":
        body = {"records": [record | {"_base64": image} for record in body["records"]]}
    answer = strict.call(method, small, body)
    assert answer.status_code == answer.json()["status"]["code"] == code


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("visualKNN", {"query_record": {"_id": "1"}, "k": 50}),
        ("random", {"count": 50}),
        ("allRecords?size=50", {}),
    ],
)
def test_strict_answers_are_cut(
    method: str, body: dict[str, Any], strict: Service, small: str
) -> None:
    answer = strict.call(method, small, body)
    assert answer.status_code == 200
    assert answer.json()["answer_count"] == 2
