"""A request that outlives LOOKALIKE_REQUEST_TIMEOUT_S is answered, and its work ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedders.test_flood import PLUGIN, records
from tests.live import LiveServer, live_server
from tests.service import Service

RECORDS = 400
"""Two seconds of work for the embedder, which takes 5 ms for each."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    environment = {
        "PYTHONPATH": str(PLUGIN),
        "LOOKALIKE_MAX_RECORDS": str(RECORDS),
        "LOOKALIKE_REQUEST_TIMEOUT_S": "1",
    }
    with live_server(tmp_path, environment) as running:
        yield running


def test_what_takes_too_long_is_given_up(server: LiveServer) -> None:
    client = Service(server.url)
    collection = client.collection(embedder="slow")
    client.load(collection, records(0, 10)["records"])
    began = time.monotonic()
    refused = client.call("insert", collection, records(10, 10 + RECORDS))
    assert refused.status_code == 503, refused.text
    assert "was given up" in refused.json()["status"]["text"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert time.monotonic() - began >= 1
    # What was still to be done is not done: the next one has the embedder to itself, and what was
    # given up is not there, now or later.
    client.load(collection, records(500, 510)["records"])
    assert len(client.ids(collection)) == 20
    assert client.answer("insert", collection, records(10, 60))["answer_count"] == 50
    client.close()
