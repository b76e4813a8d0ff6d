"""The service as a process: started, stopped, killed, started twice, and its command line."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.conftest import ADMIN_TOKEN, FILE_TOKEN, READ_TOKEN, WRITE_TOKEN
from tests.live import LiveServer, free_port
from tests.service import Service

COMMAND_SECONDS = 60


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., LiveServer]]:
    """Services on folders of this test's own, ended when it ends."""
    servers: list[LiveServer] = []

    def make(folder: str = "data", **environment: str) -> LiveServer:
        servers.append(LiveServer(tmp_path / folder, environment))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


NewServer = Callable[..., LiveServer]


@pytest.fixture
def connect() -> Iterator[Callable[..., Service]]:
    clients: list[Service] = []

    def make(server: LiveServer, token: str | None = None) -> Service:
        clients.append(Service(server.url, token))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


Connect = Callable[..., Service]


def lookalike(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user does; it never shows a traceback."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")}
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *arguments],
        env=inherited | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def descendants(pid: int) -> list[int]:
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)
    rows = [tuple(map(int, line.split())) for line in table.stdout.splitlines()]
    found, parents = [], {pid}
    while parents:
        parents = {child for child, parent in rows if parent in parents}
        found += sorted(parents)
    return found


def kill_all(server: LiveServer) -> None:
    """All processes of the service at once, as a power cut does."""
    assert server.process is not None
    everyone = [server.process.pid, *descendants(server.process.pid)]
    for pid in everyone:
        os.kill(pid, signal.SIGKILL)
    server.process.communicate()
    server.process = None


# Start and stop


def test_start_stop_and_start_again(new_server: NewServer, connect: Connect, image: str) -> None:
    server = new_server()
    server.start()
    client = connect(server)
    assert client.http.get("/healthz").json() == {"status": "alive"}
    assert client.http.get("/readyz").json()["status"] == "ready"
    collection = client.collection(name="kept", fields_to_index=["n"])
    client.load(collection, [{"_id": str(n), "_base64": image, "n": n} for n in range(20)])
    before = client.http.get(f"/similarity/v2/collection/{collection}").json()
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
    client = connect(server)
    assert client.http.get(f"/similarity/v2/collection/{collection}").json() == before
    answer = client.answer(
        "allRecords", collection, {"filter": {"n": {"$in": [3, 4]}}, "fields_to_return": ["n"]}
    )
    assert sorted(r["n"] for r in answer["answer_records"]) == [3, 4]
    assert "Traceback" not in server.stop()


def test_a_request_in_flight_is_answered_before_the_end(
    new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start()
    client = connect(server)
    collection = client.collection()
    records = [{"_id": str(n), "_base64": image} for n in range(60)]
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.answer, "insert", collection, {"records": records})
        time.sleep(0.1)
        assert not answer.done()
        assert "Traceback" not in server.stop()
        assert answer.result()["answer_count"] == 60
    server.start()
    assert len(connect(server).ids(collection)) == 60


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
    assert second.returncode != 0
    assert "address already in use" in second.stdout + second.stderr
    assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200


def test_the_port_is_free_after_the_main_process_was_killed(
    new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start("--workers", "2")
    client = connect(server)
    collection = client.collection()
    client.load(collection, [{"_id": "1", "_base64": image}])
    assert server.process is not None
    everyone = descendants(server.process.pid)
    server.kill()
    deadline = time.monotonic() + 20
    while any(map(alive, everyone)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, everyone))
    server.start()
    assert connect(server).ids(collection) == ["1"]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Shop:
    """A client that inserts, updates and deletes without pause, and remembers what it was told."""

    def __init__(self, url: str, collection: str, name: str, image: str) -> None:
        self.client = Service(url)
        self.collection = collection
        self.name = name
        self.image = image
        self.told: dict[str, dict[str, Any] | None] = {}
        self.unknown: set[str] = set()
        """Records whose last request was not answered: either state is right."""
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            for number in itertools.count():
                if self.stopped.is_set():
                    return
                self._round(number)
        except httpx.TransportError:
            pass
        finally:
            self.client.close()

    def _round(self, number: int) -> None:
        ids = [f"{self.name} {number} {n}" for n in range(3)]
        self.unknown = set(ids)
        records: list[dict[str, Any]] = [{"_id": id_, "n": number} for id_ in ids]
        self._call("insert", [record | {"_base64": self.image} for record in records])
        self.told |= {record["_id"]: record for record in records}
        self.unknown = {ids[0]}
        self._call("update", [{"_id": ids[0], "updated": True}])
        self.told[ids[0]] = {"_id": ids[0], "n": number, "updated": True}
        self.unknown = {ids[1]}
        self._call("delete", [{"_id": ids[1]}])
        self.told[ids[1]] = None
        self.unknown = set()

    def _call(self, method: str, records: list[dict[str, Any]]) -> None:
        answer = self.client.answer(method, self.collection, {"records": records})
        assert answer["answer_count"] == len(records)


@pytest.mark.parametrize("who", ["all of it", "its main process", "the engine's worker"])
def test_nothing_acknowledged_is_lost_by_a_kill(
    who: str, new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start()
    collection = connect(server).collection(fields_to_index=["n"])
    shops = [Shop(server.url, collection, str(number), image) for number in range(3)]
    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(shop.run) for shop in shops]
        deadline = time.monotonic() + 30
        while min(len(shop.told) for shop in shops) < 15 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.process is not None
        if who == "all of it":
            kill_all(server)
        elif who == "its main process":
            server.kill()
        else:
            worker = descendants(server.process.pid)
            for pid in worker:
                os.kill(pid, signal.SIGKILL)
            time.sleep(1)
            for shop in shops:
                shop.stopped.set()
        for future in running:
            if who == "the engine's worker":
                # A request in flight fails with an error that says to try again.
                error = future.exception(timeout=60)
                assert error is None or '"code":503' in str(error), error
            else:
                future.result(timeout=60)
    if who != "the engine's worker":
        server.start()
    else:
        server.wait_ready()
    client = connect(server)
    body = {"fields_to_return": ["*"]}
    stored = {r["_id"]: r for r in client.answer("allRecords", collection, body)["answer_records"]}
    checked = 0
    for shop in shops:
        for id_, record in shop.told.items():
            if id_ not in shop.unknown:
                assert stored.get(id_) == record
                checked += 1
    assert checked >= 40
    client.load(collection, [{"_id": "afterwards", "_base64": image}])


# Tokens


def test_tokens_in_the_settings_and_in_a_file(admin: Service, image: str) -> None:
    collection = admin.collection()
    record = {"_id": "1", "_base64": image}
    rights: dict[str, set[str]] = {
        FILE_TOKEN: {"read", "write"},
        WRITE_TOKEN: {"read", "write"},
        READ_TOKEN: {"read"},
        ADMIN_TOKEN: {"read", "write", "admin"},
    }
    for token, allowed in rights.items():
        headers = {"Authorization": f"Token {token}", "collection-id": collection}
        with httpx.Client(base_url=admin.url, headers=headers) as http:
            codes = {
                "read": http.post("/similarity/photos/v2/allIDs").status_code,
                "write": http.post(
                    "/similarity/photos/v2/insert", json={"records": [record]}
                ).status_code,
                "admin": http.patch(f"/similarity/v2/collection/{collection}", json={}).status_code,
            }
        assert codes == {right: 200 if right in allowed else 403 for right in codes}
        assert http.headers["Authorization"].endswith(token)


def test_health_needs_no_token(admin: Service) -> None:
    with httpx.Client(base_url=admin.url) as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == 200


def test_a_token_bound_to_a_collection(
    new_server: NewServer, connect: Connect, image: str, tmp_path: Path
) -> None:
    server = new_server()
    data = ("--data", str(server.data))
    one = json.loads(lookalike("collections", "create", "one", *data).stdout)["id"]
    two = json.loads(lookalike("collections", "create", "two", *data).stdout)["id"]
    made = lookalike("tokens", "create", "--scope", "read", "--collection", two)
    assert made.returncode == 0
    token, line = re.findall(r"^.*: (\S+)\n.*\n(.*)$", made.stdout, re.MULTILINE)[0]
    assert line.split() == [hashlib.sha256(token.encode()).hexdigest(), "read", two]
    (tmp_path / "tokens").write_text(line + "\n")
    server.environment = {
        "LOOKALIKE_TOKENS": f"bound:read+write:{one},admin",
        "LOOKALIKE_TOKENS_FILE": str(tmp_path / "tokens"),
    }
    server.start()
    body = {"records": [{"_id": "1", "_base64": image}]}
    bound = connect(server, "bound")
    assert bound.answer("insert", one, body)["status"]["code"] == 210
    for collection in (two, "two"):
        answer = bound.http.post(
            "/similarity/photos/v2/insert", json=body, headers={"collection": collection}
        )
        assert answer.status_code == 403
        assert answer.json()["detail"] == "You do not have permission to use this collection."
    page = bound.http.get("/similarity/v2/collection/").json()
    assert [view["id"] for view in page["results"]] == [one]
    assert bound.http.get(f"/similarity/v2/collection/{two}").status_code == 403
    reader = connect(server, token)
    assert reader.answer("allRecords", two)["answer_records"] == []
    assert reader.call("allRecords", one).status_code == 403
    assert reader.call("insert", two, body).status_code == 403
    assert connect(server, "admin").answer("allRecords", one)["answer_count"] == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_without_tokens_only_loopback(host: str, tmp_path: Path) -> None:
    refused = lookalike("serve", "--host", host, "--data", str(tmp_path / "data"))
    assert refused.returncode == 1
    assert "LOOKALIKE_TOKENS" in refused.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOOKALIKE_PORT", "http"),
        ("LOOKALIKE_PORT", "70000"),
        ("LOOKALIKE_WORKERS", "0"),
        ("LOOKALIKE_STRICT", "perhaps"),
        ("LOOKALIKE_UNKNOWN", "1"),
        ("LOOKALIKE_TOKENS", "secret:everything"),
        ("LOOKALIKE_TOKENS_FILE", "/no/such/file"),
    ],
)
def test_wrong_settings_end_with_one_line(variable: str, value: str, tmp_path: Path) -> None:
    environment = {variable: value, "LOOKALIKE_DATA": str(tmp_path / "data")}
    refused = lookalike("serve", environment=environment)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: ")
    assert variable in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert "secret" not in refused.stderr


# The command line


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_collections_on_the_command_line(
    running: bool, new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    if running:
        server.start()
    data = ("--data", str(server.data))
    made = lookalike(
        *("collections", "create", "My shop", "--type", "products"),
        *("--index", "price", "--index", "color"),
        *("--product-id-field", "sku", "--capacity", "7", *data),
    )
    assert made.returncode == 0, made.stderr
    view = json.loads(made.stdout)
    assert view["name"] == "My shop"
    assert view["type"] == "products"
    assert [index["field"] for index in view["fields_to_index"]] == ["price", "color", "sku"]
    assert view["capacity"] == 7
    assert json.loads(lookalike("collections", "show", "My shop", *data).stdout) == view
    if running:
        client = connect(server)
        assert client.http.get(f"/similarity/v2/collection/{view['id']}").json() == view
        client.load(view["id"], [{"_id": "1", "_base64": image}])
    listed = lookalike("collections", "list", *data).stdout
    assert listed.split() == [view["id"], "products", str(int(running)), "My", "shop"]

    unknown = lookalike("collections", "show", "nothing", *data)
    assert unknown.returncode == 1
    assert unknown.stderr == "Error: Collection not found.\n"
    by_name = lookalike("collections", "delete", "My shop", "--yes", *data)
    assert by_name.returncode == 1
    gone = lookalike("collections", "delete", view["id"], "--yes", *data)
    assert gone.returncode == 0, gone.stderr
    assert lookalike("collections", "list", *data).stdout == ""
    if running:
        assert connect(server).call("allRecords", view["id"]).status_code == 404


def test_the_demo_and_the_line_that_it_prints(
    new_server: NewServer, connect: Connect, demo_wheel: Path
) -> None:
    server = new_server()
    environment = {"LOOKALIKE_PORT": str(server.port), "LOOKALIKE_DATA": str(server.data)}
    first = lookalike("demo", str(demo_wheel), environment=environment)
    assert first.returncode == 0, first.stderr
    collection = re.findall(r"Demo collection: (\S+)", first.stdout)[0]
    (line,) = (line for line in first.stdout.splitlines() if "curl" in line)
    again = lookalike("demo", str(demo_wheel), environment=environment)
    assert again.returncode == 0
    assert line in again.stdout

    server.start()
    client = connect(server)
    assert client.http.get("/similarity/v2/collection/").json()["count"] == 1
    assert client.answer("allRecords", collection)["answer_count"] == 45
    assert shutil.which("curl"), "curl is needed to try the printed line"
    printed = subprocess.run(
        ["sh", "-c", line], capture_output=True, timeout=COMMAND_SECONDS, check=True
    )
    answer = json.loads(printed.stdout)
    assert answer["status"] == {"code": 200, "text": "OK"}
    assert answer["answer_count"] == 5
    assert answer["answer_records"][0]["_id"] == "1"
    assert answer["answer_records"][0].keys() == {"_id", "name", "category", "price"}
    running = lookalike("demo", str(demo_wheel), environment=environment)
    assert line in running.stdout


def test_the_prefix_of_another_type_is_accepted_and_logged_once(
    new_server: NewServer, connect: Connect, image: str
) -> None:
    server = new_server()
    server.start()
    client = connect(server)
    collection = client.collection(type="photos")
    client.load(collection, [{"_id": "1", "_base64": image}])
    for _ in range(3):
        body = {"query_record": {"_id": "1"}}
        client.call("visualKNN", collection, body, prefix="similarity/fashion-new")
    output = server.stop()
    line = f"collection {collection}: The prefix is for fashion collections"
    assert output.count(line) == 1
    assert output.count(f"collection {collection}: The prefix is for products") == 1


def test_no_demo_beside_other_collections(
    new_server: NewServer, connect: Connect, demo_wheel: Path
) -> None:
    server = new_server()
    environment = {"LOOKALIKE_DATA": str(server.data)}
    lookalike("collections", "create", "shop", environment=environment)
    demo = lookalike("demo", str(demo_wheel), environment=environment)
    assert "no demo collection is made" in demo.stdout


def test_commands_work_after_the_service_was_killed(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server()
    server.start()
    collection = connect(server).collection(name="survivor")
    kill_all(server)
    listed = lookalike("collections", "list", environment={"LOOKALIKE_DATA": str(server.data)})
    assert listed.returncode == 0, listed.stderr
    assert collection in listed.stdout


def test_help_is_there() -> None:
    for command in ((), ("serve",), ("collections", "create")):
        shown = lookalike(*command, "--help")
        assert shown.returncode == 0
        assert "Usage:" in shown.stdout
    assert lookalike("--version").stdout
