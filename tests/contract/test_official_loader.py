"""The provider's own client lists and loads whole collections."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from ximilar.client import search as clients

from lookalike.cli.demo_images import DemoImage
from tests.contract.images import record
from tests.contract.official import connect_client
from tests.file_server import FileServer
from tests.service import Service


def test_pages_of_all_records(service: Service, shop: str, products: list[DemoImage]) -> None:
    client = connect_client(clients.SimilarityProductsClient, service, shop)
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
    assert by_id == {product.id: product.record() for product in products}


@pytest.mark.parametrize("batch_size", [1, 7, 44, 45, 46, 1000])
def test_the_iterator_over_all_records_ends(
    batch_size: int, service: Service, shop: str, products: list[DemoImage]
) -> None:
    client = connect_client(clients.SimilarityProductsClient, service, shop)
    # One more than there are: an iterator without an end is a failure and no hang.
    found = list(itertools.islice(client.all_records_iter(batch_size=batch_size), 46))
    assert len(found) == 45
    assert {r["_id"] for r in found} == {product.id for product in products}
    pages = list(
        itertools.islice(client.all_records_iter(batch_size=batch_size, return_batch=True), 46)
    )
    assert [r for page in pages for r in page] == found
    assert all(len(page) == batch_size for page in pages[:-1])


def test_the_iterator_over_nothing_ends(service: Service, collection: str) -> None:
    client = connect_client(clients.SimilarityPhotosClient, service, collection)
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
    products: list[DemoImage],
    thumbnails: dict[str, bytes],
    file_server: FileServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = connect_client(clients.SimilarityProductsClient, service, collection)
    broken = [
        {"_id": "missing", "_url": file_server.add("/there.jpg", b"") + "-not", "price": 1},
        {"_id": "text", "_url": file_server.add("/a.txt", b"no picture"), "price": 2},
    ]
    whole = [record(product, thumbnails[product.id]) for product in products]
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
        "missing": 410,
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
    client = connect_client(clients.SimilarityProductsClient, service, collection)
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
