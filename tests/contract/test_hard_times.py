"""A clock that jumps, and few file descriptors: the service goes on."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import Connect, NewServer
from tests.contract.processes import descendants
from tests.live import live_server

CLOCK = Path(__file__).parent / "jumping_clock"
YEAR_S = 365 * 24 * 3600


def test_a_clock_that_jumps(tmp_path: Path, connect: Connect, image: str) -> None:
    jump = tmp_path / "jump"
    jump.write_text("0")
    environment = {"PYTHONPATH": str(CLOCK), "CLOCK_JUMP": str(jump)}
    with live_server(tmp_path / "data", environment) as server:
        client = connect(server.url)
        collection = client.collection(name="before")
        client.load(collection, [{"_id": "0", "_base64": image}])
        for number, seconds in enumerate((YEAR_S, -YEAR_S, 0), 1):
            jump.write_text(str(seconds))
            client.load(collection, [{"_id": str(number), "_base64": image}])
            assert client.answer("delete", collection, {"records": [{"_id": str(number - 1)}]})
            client.load(collection, [{"_id": str(number - 1), "_base64": image}])
            found = client.answer("visualKNN", collection, {"query_record": {"_id": "0"}, "k": 9})
            assert found["answer_count"] == number + 1
            # The name is given up and taken again, however old its note seems.
            again = client.collection(name="for a moment")
            taken = client.http.post("/similarity/v2/collection", json={"name": "for a moment"})
            assert taken.status_code == 409
            client.http.delete(f"/similarity/v2/collection/{again}")
            pages = {
                record["_id"]
                for page in range(1, number + 2)
                for record in client.http.post(
                    f"/similarity/photos/v2/allRecords?size=1&page={page}",
                    headers={"collection-id": collection},
                ).json()["answer_records"]
            }
            assert len(pages) == number + 1
        server.stop()
        server.start()
        assert len(connect(server.url).ids(collection)) == 4


@pytest.mark.parametrize("descriptors", [64])
def test_few_file_descriptors(
    descriptors: int, new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start()
    assert server.process is not None
    for pid in (server.process.pid, *descendants(server.process.pid)):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
    client = connect(server.url)
    collections = [client.collection(embedder="colors") for _ in range(12)]
    for collection in collections:
        client.load(collection, [{"_id": "1", "_base64": image}])
    with contextlib.ExitStack() as stack:
        for _ in range(2 * descriptors):
            http = stack.enter_context(httpx.Client(base_url=server.url, timeout=1))
            with contextlib.suppress(httpx.TransportError):
                http.get("/healthz")
    for collection in collections:
        assert client.ids(collection) == ["1"]
        found = client.answer("visualKNN", collection, {"query_record": {"_base64": image}})
        assert found["answer_count"] == 1
    server.stop()
    server.start()
    assert connect(server.url).ids(collections[-1]) == ["1"]
