"""The provider's own Python client, unmodified, against a live service.

Its constructor asks the provider's host for permission unless `localhost` is in the endpoint; that
is what `<url>/localhost/...` is for. One test lets it ask, and only tells it whom.
"""

from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from PIL import Image
from ximilar.client import search

from lookalike.demo_photos import DemoPhoto
from tests.contract.conftest import ADMIN_TOKEN, LONG_TOKEN, READ_TOKEN
from tests.contract.images import MEBIBYTE, base64_of, jpeg, record
from tests.file_server import FileServer
from tests.live import LiveServer
from tests.service import Service

ClientClass = type[search.SimilarityPhotosClient]

CLIENTS: list[tuple[ClientClass, str]] = [
    (search.SimilarityPhotosClient, "photos"),
    (search.SimilarityPhotosOldClient, "photos"),
    (search.SimilarityProductsClient, "products"),
    (search.SimilarityProductsOldClient, "products"),
    (search.SimilarityCustomClient, "custom"),
    (search.SimilarityColorsClient, "colors"),
    (search.ImageMatchingSearchClient, "matching"),
    (search.SimilarityHomeDecorClient, "homedecor"),
    (search.SimilarityFashionClient, "fashion"),
]
OF_EVERY_CLASS = pytest.mark.parametrize(
    ("client_class", "type_"), CLIENTS, ids=[cls.__name__ for cls, _ in CLIENTS]
)


def endpoint_of(client_class: ClientClass, host: str) -> str:
    """The endpoint that the class has by default, at another host."""
    default: str = inspect.signature(client_class).parameters["endpoint"].default
    return default.replace("https://api.ximilar.com/", host)


def connect(
    client_class: ClientClass, service: Service, collection: str | None, token: str = "abc"
) -> Any:
    endpoint = endpoint_of(client_class, f"{service.url}/localhost/")
    return client_class(token=token, collection_id=collection, endpoint=endpoint)


def test_the_list_of_classes_is_complete() -> None:
    classes = {
        cls
        for _, cls in inspect.getmembers(search, inspect.isclass)
        if issubclass(cls, search.SimilarityPhotosClient)
    }
    assert classes == {cls for cls, _ in CLIENTS}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, products: list[DemoPhoto]) -> tuple[Path, Path]:
    """Two photos on disk: one that the client sends as it is, and one that it makes smaller."""
    folder = tmp_path_factory.mktemp("photos")
    small, large = folder / "small.jpg", folder / "large.png"
    small.write_bytes(jpeg(products[0].image))
    rng = np.random.default_rng(0)
    photo = Image.open(folder / "small.jpg").resize((900, 700))
    noise = rng.integers(0, 60, (700, 900, 3), dtype=np.uint8)
    Image.fromarray((np.asarray(photo) // 2 + noise).astype(np.uint8)).save(large)
    assert small.stat().st_size < 0.1 * MEBIBYTE < large.stat().st_size
    return small, large


@OF_EVERY_CLASS
def test_every_method_of_every_class(
    client_class: ClientClass,
    type_: str,
    service: Service,
    products: list[DemoPhoto],
    thumbnails: dict[str, bytes],
    files: tuple[Path, Path],
    file_server: FileServer,
) -> None:
    small, large = files
    client = connect(client_class, service, service.collection(type=type_))
    url = file_server.add("/footwear.jpg", thumbnails["26"])
    blue_first = cv2.imdecode(np.frombuffer(thumbnails["9"], np.uint8), cv2.IMREAD_COLOR)
    assert blue_first is not None
    pixels = cv2.cvtColor(blue_first, cv2.COLOR_BGR2RGB)
    records: list[dict[str, Any]] = [
        {"_id": "small", "_file": str(small), "price": 10, "tags": ["paint"]},
        {"_id": "large", "_file": str(large), "price": 20, "tags": ["paint", "noisy"]},
        {"_id": "base64", "_base64": base64_of(thumbnails["2"]), "price": 30, "tags": ["paint"]},
        {"_id": "url", "_url": url, "price": 40, "tags": ["shoe"], "_estate_id": "e7"},
        {"_id": "pixels", "_img_data": pixels, "_color_space": "RGB", "price": 50, "noresize": 1},
    ]

    assert client.ping()["status"] == {"code": 200, "text": "OK"}

    answer = client.insert(records)
    assert answer["status"] == {"code": 210, "text": "records inserted"}
    assert [r["_id"] for r in answer["answer_records"]] == [r["_id"] for r in records]

    for query, nearest in (
        ({"_id": "url"}, "url"),
        ({"_url": url}, "url"),
        ({"_base64": base64_of(thumbnails["2"])}, "base64"),
        ({"_file": str(small)}, "small"),
        ({"_file": str(large)}, "large"),
    ):
        answer = client.search(query, k=3, fields_to_return=["_id", "price"])
        assert answer["status"]["code"] == 200
        assert answer["answer_records"][0]["_id"] == nearest
        assert answer["answer_count"] == 3 == len(answer["answer_distances"])
        assert set(answer["answer_records"][0]) == {"_id", "price"}
    assert client.search({"_id": "url"})["answer_distances"][0] == 0

    answer = client.search({"_id": "small"}, filter={"price": {"$in": [20, 30, 99]}})
    assert {r["_id"] for r in answer["answer_records"]} == {"large", "base64"}
    answer = client.search({"_id": "small"}, filter={"price": 40, "_estate_id": "e7"})
    assert [r["_id"] for r in answer["answer_records"]] == ["url"]

    assert len(client.random(count=3)["answer_records"]) == 3
    answer = client.random(filter={"price": {"$in": [10, 20]}}, fields_to_return=["price"])
    assert sorted(r["price"] for r in answer["answer_records"]) == [10, 20]
    assert "answer_distances" not in answer

    answer = client.update([{"_id": "url", "price": 41}, {"_id": "small", "sold": True}])
    assert answer["status"] == {"code": 200, "text": "OK"}
    assert answer["answer_records"] == [
        {"_id": "url", "_url": url, "price": 41, "tags": ["shoe"], "_estate_id": "e7"},
        {"_id": "small", "_file": str(small), "price": 10, "tags": ["paint"], "sold": True},
    ]
    assert client.update([{"_id": "url", "x": 1}, {"_id": "no"}])["status"]["code"] == 206

    answer = client.get_records([{"_id": "pixels"}, {"_id": "url"}], fields_to_return=["*"])
    assert answer["status"] == {"code": 205, "text": "records found"}
    assert answer["answer_records"][0] == {"_id": "pixels", "price": 50}
    assert answer["answer_records"][1]["price"] == 41
    answer = client.get_records([{"_id": "none"}, {"_id": "url"}])
    assert answer["status"] == {"code": 206, "text": "some of the records not found"}
    assert answer["answer_records"] == [{"_id": "url"}]
    answer = client.get_records([{"_id": "none"}])
    assert answer["status"] == {"code": 404, "text": "records not found"}
    assert answer["answer_records"] == []

    everything = {r["_id"] for r in records}
    assert {r["_id"] for r in client.get_all_ids()["answer_records"]} == everything
    prices = client.get_all_ids(fields=["price"], filterf={"price": 50})
    assert prices["answer_records"] == [{"_id": "pixels", "price": 50}]
    assert {r["_id"] for r in client.all_records_iter(batch_size=2)} == everything

    answer = client.remove([{"_id": "pixels"}, {"_id": "none"}])
    assert answer["status"] == {"code": 206, "text": "some of the records not found"}
    assert answer["answer_records"] == [{"_id": "pixels"}]
    answer = client.remove([r for r in records if r["_id"] != "pixels" and "_img_data" not in r])
    assert answer["status"] == {"code": 220, "text": "records deleted"}
    assert answer["answer_count"] == 4
    assert client.remove([{"_id": "url"}])["status"] == {"code": 404, "text": "records not found"}
    assert client.allRecords()["answer_records"] == []


def test_an_image_is_never_stored_or_returned(
    service: Service, collection: str, files: tuple[Path, Path], image: str
) -> None:
    client = connect(search.SimilarityPhotosClient, service, collection)
    client.insert(
        [
            {"_id": "1", "_file": str(files[0]), "noresize": True, "_text_data": "words"},
            {"_id": "2", "_base64": image, "noresize": True},
        ],
        request_fields={"fields_to_return": ["*", "_base64"], "skip_empty": True},
    )
    answer = client.get_records([{"_id": "1"}, {"_id": "2"}], fields_to_return=["*", "_base64"])
    assert answer["answer_records"] == [{"_id": "1", "_file": str(files[0])}, {"_id": "2"}]


def test_pages_of_all_records(service: Service, shop: str, products: list[DemoPhoto]) -> None:
    client = connect(search.SimilarityProductsClient, service, shop)
    first = client.allRecords(size=20)
    assert first["answer_count"] == 20
    assert isinstance(first["next"], str)
    last = client.allRecords(size=20, page=3, fields_to_return=[])
    assert last["answer_count"] == 5
    assert "next" not in last
    beyond = client.allRecords(size=20, page=4)
    assert beyond["answer_records"] == []
    assert "next" not in beyond
    unpaged = client.allRecords(size=0, fields_to_return=["*"])
    assert unpaged["answer_count"] == len(products) == 45
    assert "next" not in unpaged
    by_id = {r["_id"]: r for r in unpaged["answer_records"]}
    assert by_id == {photo.id: photo.record() for photo in products}


@pytest.mark.parametrize("batch_size", [1, 7, 44, 45, 46, 1000])
def test_the_iterator_over_all_records_ends(
    batch_size: int, service: Service, shop: str, products: list[DemoPhoto]
) -> None:
    client = connect(search.SimilarityProductsClient, service, shop)
    # One more than there are: an iterator without an end is a failure and no hang.
    found = list(itertools.islice(client.all_records_iter(batch_size=batch_size), 46))
    assert len(found) == 45
    assert {r["_id"] for r in found} == {photo.id for photo in products}
    pages = list(
        itertools.islice(client.all_records_iter(batch_size=batch_size, return_batch=True), 46)
    )
    assert [r for page in pages for r in page] == found
    assert all(len(page) == batch_size for page in pages[:-1])


def test_the_iterator_over_nothing_ends(service: Service, collection: str) -> None:
    client = connect(search.SimilarityPhotosClient, service, collection)
    assert list(itertools.islice(client.all_records_iter(), 2)) == []
    assert client.get_all_ids()["answer_records"] == []


def loaded(output: str) -> dict[str, int]:
    """The loader's own summary."""
    (line,) = (line for line in output.splitlines() if line.startswith("Result of parallel:"))
    summary: dict[str, int] = json.loads(line.partition(":")[2].replace("'", '"'))
    return summary


def test_the_parallel_loader_counts_right(
    service: Service,
    collection: str,
    products: list[DemoPhoto],
    thumbnails: dict[str, bytes],
    file_server: FileServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = connect(search.SimilarityProductsClient, service, collection)
    broken = [
        {"_id": "missing", "_url": file_server.add("/there.jpg", b"") + "-not", "price": 1},
        {"_id": "text", "_url": file_server.add("/a.txt", b"no picture"), "price": 2},
    ]
    whole = [record(photo, thumbnails[photo.id]) for photo in products]
    assert client.insert(whole[:3])["status"]["code"] == 210
    records = [*whole[:30], broken[0], *whole[30:], broken[1]]
    errors = tmp_path / "errors.json"
    results = client.parallel_records_processing(
        records, client.insert, max_workers=3, batch_size=10, output=True, error_file=str(errors)
    )
    assert loaded(capsys.readouterr().out) == {
        "answer_records": 42,
        "records": 0,
        "skipped_records": 3,
        "error": 2,
    }
    assert [answer["status"]["code"] for answer in results] == [211, 210, 210, 211, 211]
    refused = {r["_id"]: r for r in json.loads(errors.read_text())}
    assert {id_: r["_reason"]["status"]["code"] for id_, r in refused.items()} == {
        "missing": 504,
        "text": 422,
    }
    assert refused["text"]["_url"] == broken[1]["_url"]

    again = client.parallel_records_processing(
        whole, client.insert, max_workers=3, batch_size=10, output=True, error_file=str(errors)
    )
    assert loaded(capsys.readouterr().out) == {
        "answer_records": 0,
        "records": 0,
        "skipped_records": 45,
        "error": 0,
    }
    assert {answer["status"]["code"] for answer in again} == {411}
    assert len(service.ids(collection)) == 45


def test_the_loader_counts_a_batch_of_nothing_but_errors(
    service: Service,
    collection: str,
    file_server: FileServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = connect(search.SimilarityProductsClient, service, collection)
    url = file_server.add("/b.txt", b"no picture")
    errors = tmp_path / "errors.json"
    client.parallel_records_processing(
        [{"_id": str(number), "_url": url} for number in range(4)],
        client.insert,
        batch_size=2,
        output=True,
        error_file=str(errors),
    )
    assert loaded(capsys.readouterr().out)["error"] == 4
    assert [r["_id"] for r in json.loads(errors.read_text())] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("colors", [None, True])
@pytest.mark.parametrize("tags", [None, True])
def test_fashion_with_its_nulls(
    colors: bool | None, tags: bool | None, service: Service, products: list[DemoPhoto]
) -> None:
    client = connect(search.SimilarityFashionClient, service, service.collection(type="fashion"))
    shirts = [photo for photo in products if photo.category in ("T-shirts", "Footwear")][:4]
    records = [record(photo) for photo in shirts]
    answer = client.insert(records, extract_colors=colors, extract_tags=tags)
    assert answer["status"]["code"] == 210
    assert client.PREDICT_ENDPOINT == "visualTagsKNN"
    answer = client.search({"_id": shirts[0].id}, k=2)
    assert answer["answer_records"][0] == {"_id": shirts[0].id}
    assert answer["answer_distances"][0] == 0
    answer = client.search({"_base64": records[1]["_base64"], "tags": shirts[1].tags}, k=2)
    assert answer["answer_records"][0] == {"_id": shirts[1].id}


def test_unknown_keywords_are_sent_and_ignored(service: Service, shop: str) -> None:
    client = connect(search.SimilarityProductsClient, service, shop)
    data = client.construct_data({"_id": "1"}, k=2, custom_flow="flow", something={"x": None})
    assert client.post("visualKNN", data=data)["answer_records"][0] == {"_id": "1"}


def test_account_calls_on_a_similarity_client(service: Service, shop: str) -> None:
    client = connect(search.SimilarityPhotosClient, service, shop)
    assert client.get_user_details()["id"]
    assert isinstance(client.get_config("similarity"), dict)
    assert isinstance(client.get_config("similarity", version=3), dict)


def test_a_client_without_a_collection(service: Service) -> None:
    client = connect(search.ImageMatchingSearchClient, service, None)
    assert client.ping()["_service_info"]["_name"]
    answer = client.search({"_id": "1"})
    assert answer["status"]["code"] == 400
    assert "collection-id" in answer["detail"]


@OF_EVERY_CLASS
def test_given_records_are_ranked(
    client_class: ClientClass,
    type_: str,
    service: Service,
    thumbnails: dict[str, bytes],
    file_server: FileServer,
) -> None:
    client = connect(client_class, service, service.collection(type=type_))
    client.insert([{"_id": "stored", "_base64": base64_of(thumbnails["26"]), "noresize": True}])
    url = file_server.add("/2.jpg", thumbnails["2"])
    records = [
        {"_id": "stored"},
        {"_url": url},
        {"_id": "new", "_base64": base64_of(thumbnails["1"])},
    ]
    query = {"_base64": base64_of(thumbnails["1"]), "noresize": True}
    answer = client.search_and_rank(query, records, fields_to_return=["_id", "_url"])
    assert answer["status"]["code"] == 200
    assert answer["answer_count"] == 3 == len(answer["answer_distances"])
    assert answer["answer_distances"] == sorted(answer["answer_distances"])
    assert answer["answer_records"][0]["_id"] == "new"
    assert url in [r.get("_url") for r in answer["answer_records"]]


def test_words_need_a_model_that_reads(service: Service, shop: str) -> None:
    """The bundled model knows images only: a clear no, and nothing else."""
    client = connect(search.SimilarityProductsClient, service, shop)
    for method in ("visualKNN", "text"):
        client.PREDICT_ENDPOINT = method
        answer = client.search({"_text_data": "a red shoe"})
        assert answer["status"]["code"] == 400
        assert answer["detail"]
        assert "answer_records" not in answer
    answer = client.insert([{"_id": "words", "_text_data": "a red shoe"}])
    assert answer["skipped_records"][0]["_reason"]["status"]["code"] == 400
    assert answer["answer_records"] == []


# With tokens: the check of its constructor, and the two forms of the header.


@pytest.fixture
def asked_for_permission(monkeypatch: pytest.MonkeyPatch, guarded: LiveServer) -> str:
    """The one constant that says where the constructor asks; the client is otherwise as it is."""
    monkeypatch.setattr("ximilar.client.client.ENDPOINT", f"{guarded.url}/")
    return f"{guarded.url}/"


@OF_EVERY_CLASS
def test_the_constructor_asks_for_permission(
    client_class: ClientClass, type_: str, asked_for_permission: str, admin: Service
) -> None:
    endpoint = endpoint_of(client_class, asked_for_permission)
    client = client_class(token=ADMIN_TOKEN, collection_id="-", endpoint=endpoint)
    client.headers["collection-id"] = admin.collection(type=type_)
    assert client.ping()["status"]["code"] == 200
    assert f"{type_} similarity" in client.ping()["info"]


def test_the_constructor_reports_a_wrong_token(asked_for_permission: str) -> None:
    endpoint = endpoint_of(search.SimilarityPhotosClient, asked_for_permission)
    with pytest.raises(Exception, match=r"^Invalid token\. photo-search\. Please contact"):
        search.SimilarityPhotosClient(token="wrong", endpoint=endpoint)


def test_a_token_of_80_characters(asked_for_permission: str, admin: Service, image: str) -> None:
    assert len(LONG_TOKEN) == 80
    endpoint = endpoint_of(search.SimilarityPhotosClient, asked_for_permission)
    client = search.SimilarityPhotosClient(LONG_TOKEN, admin.collection(), endpoint=endpoint)
    assert client.headers["Authorization"].startswith("JWT ")
    assert client.insert([{"_id": "1", "_base64": image}])["status"]["code"] == 210
    assert client.search({"_id": "1"})["answer_records"] == [{"_id": "1"}]
    client.update_token("x" * 80)
    assert client.search({"_id": "1"})["detail"] == "Invalid token."


def test_a_token_without_the_right(asked_for_permission: str, admin: Service, image: str) -> None:
    endpoint = endpoint_of(search.SimilarityPhotosClient, asked_for_permission)
    client = search.SimilarityPhotosClient(READ_TOKEN, admin.collection(), endpoint=endpoint)
    assert client.allRecords()["answer_records"] == []
    answer = client.insert([{"_id": "1", "_base64": image}])
    assert answer["status"]["code"] == 403
    assert "permission" in answer["detail"]


@pytest.mark.parametrize(
    "call",
    [requests.get, requests.post],
    ids=["get", "post"],
)
def test_every_answer_is_json(call: Callable[..., requests.Response], guarded: LiveServer) -> None:
    """The constructor dies of a TypeError where its check is not answered in JSON."""
    for path in ("authorization/v2/authorize", "nothing/here", "", "similarity/photos/v2/ping"):
        assert isinstance(call(f"{guarded.url}/{path}", timeout=10).json(), dict)
