"""Bodies of requests on their way: bounded in all, and at a least rate."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import Connect
from tests.live import LiveServer, live_server
from tests.waiting import PATIENCE_SECONDS

SIZE = 60_000_000
ROOM = 4
"""Bodies of this size that there is room for at once."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("bodies")) as server:
        yield server


def begin(server: LiveServer, sent: int) -> socket.socket:
    """A request of which so much of the body is sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS)
    connection.sendall(
        b"POST /similarity/products/v2/insert HTTP/1.1\r\nHost: test\r\n"
        b"Content-Type: application/json\r\ncollection-id: none\r\n"
        b"Content-Length: %d\r\n\r\n" % SIZE
    )
    connection.sendall(b'{"records": [' + b" " * sent)
    return connection


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str]]:
    connection.settimeout(PATIENCE_SECONDS)
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        received = connection.recv(65_536)
        if not received:
            break
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["status"]


def memory_of(server: LiveServer) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) * 1024


def test_bodies_that_do_not_go_on_are_given_up(alone: LiveServer, connect: Connect) -> None:
    """Twenty that stop after two megabytes: four have room, the others are told so, and then the
    four are too slow. Whoever sends little notices nothing."""
    client = connect(alone.url)
    before = memory_of(alone)
    connections = [begin(alone, 2_000_000) for _ in range(20)]
    collection = client.collection()
    assert client.answer("allIDs", collection, {})["answer_count"] == 0
    assert memory_of(alone) - before < ROOM * SIZE + 100_000_000
    answers = [answer_of(connection) for connection in connections]
    for connection in connections:
        connection.close()
    codes = sorted(status for status, _ in answers)
    assert codes == [408] * ROOM + [503] * (20 - ROOM)
    assert {content["text"] for status, content in answers if status == 408} == {
        "The request body arrives too slowly."
    }
    # What they had is free again.
    body = b'{"records": [' + b" " * 3_000_000 + b"]}"
    headers = {"collection-id": collection, "Content-Type": "application/json"}
    answer = httpx.post(
        f"{alone.url}/similarity/products/v2/insert", content=body, headers=headers, timeout=60
    )
    assert answer.status_code == 200, answer.text


def test_a_body_that_never_begins_is_given_up(alone: LiveServer) -> None:
    connection = begin(alone, 0)
    assert answer_of(connection)[0] == 408
    connection.close()
