"""The service as a process: started, stopped, started twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import Connect, NewServer
from tests.contract.processes import descendants, listens
from tests.engines.embedded.supervisors import alive
from tests.file_server import FileServer
from tests.live import LiveServer, free_port, lookalike
from tests.waiting import PATIENCE_SECONDS, wait_until


def test_start_stop_and_start_again(new_server: NewServer, connect: Connect, image: str) -> None:
    server = new_server()
    server.start()
    client = connect(server.url)
    assert client.http.get("/healthz").json() == {"status": "alive"}
    assert client.http.get("/readyz").json()["status"] == "ready"
    collection = client.collection(name="kept", fields_to_index=["n"])
    client.load(collection, [{"_id": str(n), "_base64": image, "n": n} for n in range(20)])
    before = client.view(collection)
    client.close()

    assert server.process is not None
    everyone = descendants(server.process.pid)
    assert everyone  # the engine's worker
    output = server.stop()
    assert f"Lookalike listens on {server.url}" in output
    assert "any token is accepted, from this machine only" in output
    assert "Traceback" not in output
    assert [pid for pid in everyone if alive(pid)] == []
    assert not (server.data / "engine.json").exists()  # it names a socket that is gone as well
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url, trust_env=False)

    server.start("--workers", "2")
    client = connect(server.url)
    assert client.view(collection) == before
    answer = client.answer(
        "allRecords", collection, {"filter": {"n": {"$in": [3, 4]}}, "fields_to_return": ["n"]}
    )
    assert sorted(r["n"] for r in answer["answer_records"]) == [3, 4]
    assert "Traceback" not in server.stop()


def test_a_request_in_flight_is_answered_before_the_end(
    new_server: NewServer,
    connect: Connect,
    image: str,
    thumbnails: dict[str, bytes],
    file_server: FileServer,
) -> None:
    """Its last image comes only when the service listens no more."""
    server = new_server(LOOKALIKE_FETCH_ALLOW="127.0.0.1")
    server.start()
    client = connect(server.url)
    collection = client.collection()
    held = file_server.hold("/held.jpg", thumbnails["1"])
    records = [{"_id": str(n), "_base64": image} for n in range(59)]
    records.append({"_id": "held", "_url": held.url})
    with ThreadPoolExecutor(2) as threads:
        answer = threads.submit(client.answer, "insert", collection, {"records": records})
        assert held.asked.wait(PATIENCE_SECONDS)
        output = threads.submit(server.stop)
        wait_until(lambda: not listens(server.port), "the service listens no more")
        assert not answer.done()
        held.let_go.set()
        assert answer.result()["answer_count"] == 60
        assert "Traceback" not in output.result()
    server.start()
    assert len(connect(server.url).ids(collection)) == 60


def test_a_second_owner_of_the_folder(server: LiveServer) -> None:
    assert server.process is not None
    options = ("--data", str(server.data), "--port", str(free_port()))
    second = lookalike("serve", *options)
    assert second.returncode == 1
    assert f"in use by process {server.process.pid}" in second.stderr
    assert str(server.data) in second.stderr
    assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200


def test_a_port_that_is_taken(server: LiveServer, tmp_path: Path) -> None:
    options = ("--data", str(tmp_path / "other"), "--port", str(server.port))
    second = lookalike("serve", *options)
    assert second.returncode == 2
    address = f"127.0.0.1, port {server.port}"
    assert second.stderr == f"Error: LOOKALIKE_PORT: {address}: Address already in use\n"
    assert not (tmp_path / "other").exists(), "told before anything starts"
    assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200


def test_the_prefix_of_another_type_is_accepted_and_logged_once(
    new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start()
    client = connect(server.url)
    collection = client.collection(type="photos")
    client.load(collection, [{"_id": "1", "_base64": image}])
    for _ in range(3):
        body = {"query_record": {"_id": "1"}}
        client.call("visualKNN", collection, body, prefix="similarity/fashion-new")
    output = server.stop()
    line = f"collection {collection}: The prefix is for fashion collections"
    assert output.count(line) == 1
    assert output.count(f"collection {collection}: The prefix is for products") == 1
