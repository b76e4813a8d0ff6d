"""`lookalike serve` on a Qdrant server, as far as its transport goes: here it is the local mode."""

from __future__ import annotations

import base64
import concurrent.futures
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.engines.server.rest import RestServer
from tests.live import LiveServer, live_server
from tests.service import Service


def png(side_px: int = 32) -> str:
    file = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="module")
def qdrant() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


@pytest.fixture(scope="module")
def live(qdrant: RestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    environment = {"LOOKALIKE_QDRANT_URL": qdrant.url, "LOOKALIKE_WORKERS": "2"}
    with live_server(tmp_path_factory.mktemp("data"), environment) as running:
        yield running


@pytest.fixture
def service(live: LiveServer) -> Iterator[Service]:
    client = Service(live.url)
    yield client
    client.close()


def test_no_engine_process_is_started(live: LiveServer, service: Service) -> None:
    assert not (live.data / "engine.json").exists()
    report = service.http.get("/readyz").json()
    assert report["engine"]["version"] == "1.20.0"


def test_one_of_many_concurrent_inserts_wins_across_processes(service: Service) -> None:
    collection = service.collection(fields_to_index=["who"])
    image = png()

    def insert(who: int) -> int:
        body = {"records": [{"_id": "same", "_base64": image, "who": who}]}
        # Without a kept connection each request meets either of the processes.
        path = f"{service.url}/similarity/products/v2/insert"
        answer = httpx.post(path, json=body, headers={"collection-id": collection}, timeout=60)
        return len(answer.json()["answer_records"])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(insert, range(8))) == 1
    found = service.answer("visualKNN", collection, {"query_record": {"_base64": image}, "k": 1})
    assert [record["_id"] for record in found["answer_records"]] == ["same"]


def test_a_server_that_goes_away_is_a_503_until_it_is_back(tmp_path: Path) -> None:
    qdrant = RestServer()
    with qdrant, live_server(tmp_path, {"LOOKALIKE_QDRANT_URL": qdrant.url}) as live:
        client = Service(live.url)
        collection = client.collection()
        qdrant.away()
        answer = client.call("allRecords", collection, {})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert client.http.get("/readyz").status_code == 503
        qdrant.back()
        assert client.call("allRecords", collection, {}).status_code == 200
        client.close()


def test_the_start_gives_up_with_a_clear_word(tmp_path: Path) -> None:
    environment = {"LOOKALIKE_QDRANT_URL": "http://127.0.0.1:9", "LOOKALIKE_QDRANT_WAIT_S": "0.5"}
    server = LiveServer(tmp_path, environment)
    with pytest.raises(AssertionError) as caught:
        server.start()
    server.stop()
    assert "Waiting for the Qdrant server" in str(caught.value)
    assert "LOOKALIKE_QDRANT_URL: The engine cannot be reached." in str(caught.value)
