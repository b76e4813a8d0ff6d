"""More images than an embedder can take, over HTTP: who is refused, and what that leaves behind.

The embedder of these tests takes 5 ms for an image, on purpose.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lookalike.embedders.batching import MAX_WAITING, WINDOW
from tests.live import LiveServer, live_server
from tests.service import Service

PLUGIN = Path(__file__).parent / "slow_plugin"
MAX_RECORDS = 400
INSERTS, RECORDS = 14, 40


def image(number: int) -> str:
    """A plain colour, another for each number."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (number % 256, number // 256, 7)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def records(begin: int, end: int) -> dict[str, Any]:
    return {"records": [{"_id": str(n), "_base64": image(n)} for n in range(begin, end)]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    environment = {"PYTHONPATH": str(PLUGIN), "LOOKALIKE_MAX_RECORDS": str(MAX_RECORDS)}
    with live_server(tmp_path_factory.mktemp("data"), environment) as running:
        yield running


@pytest.fixture(scope="module")
def service(server: LiveServer) -> Iterator[Service]:
    client = Service(server.url)
    yield client
    client.close()


def notes(server: LiveServer) -> dict[str, int]:
    content: dict[str, int] = json.loads((server.data / "models" / "slow.json").read_text())
    return content


def stored(service: Service, collection: str) -> set[str]:
    return {r["_id"] for r in service.answer("allIDs", collection)["answer_records"]}


def test_the_largest_request_works_alone_and_never_decodes_far_ahead(
    service: Service, server: LiveServer
) -> None:
    assert MAX_RECORDS > MAX_WAITING
    collection = service.collection(embedder="slow")
    answer = service.answer("insert", collection, records(0, MAX_RECORDS))
    assert answer["status"]["code"] == 210
    assert answer["answer_count"] == len(stored(service, collection)) == MAX_RECORDS
    assert 1 <= notes(server)["most_decoded"] <= WINDOW + 5


def test_a_flood_of_inserts(service: Service, server: LiveServer) -> None:
    collection = service.collection(embedder="slow")
    batches = [range(1000 + RECORDS * n, 1000 + RECORDS * (n + 1)) for n in range(INSERTS)]
    bodies = [records(batch[0], batch[-1] + 1) for batch in batches]
    before = notes(server)["images"]
    searched = 0
    with ThreadPoolExecutor(INSERTS) as pool:
        flood = [pool.submit(service.call, "insert", collection, body) for body in bodies]
        while not all(done.done() for done in flood):
            query = {"query_record": {"_base64": image(60_000 + searched)}, "k": 1}
            assert service.answer("visualKNN", collection, query)["status"]["code"] == 200
            ranked = {"_id": "other", "_base64": image(70_000 + searched)}
            ranking = {"query_record": query["query_record"], "records": [ranked]}
            ranks = service.answer("visualRankRecords", collection, ranking)
            assert [r["_id"] for r in ranks["answer_records"]] == ["other"]
            searched += 1
    answers = [done.result() for done in flood]
    taken = {str(n) for ids, a in zip(batches, answers, strict=True) if a.is_success for n in ids}
    refused = [answer for answer in answers if not answer.is_success]
    assert searched >= 3
    assert taken
    assert refused
    for answer in refused:
        check_refusal(answer)
    assert stored(service, collection) == taken
    # Nothing was done for what was refused.
    assert notes(server)["images"] - before == len(taken) + 2 * searched
    again = next(ids for ids, a in zip(batches, answers, strict=True) if a is refused[0])
    sent_again = service.answer("insert", collection, records(again[0], again[-1] + 1))
    assert sent_again["status"]["code"] == 210
    assert len(stored(service, collection)) == len(taken) + RECORDS


def check_refusal(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    body = answer.json()
    assert body["status"]["code"] == 503
    assert "slow" in body["status"]["text"]
    assert body["detail"] == body["status"]["text"]
