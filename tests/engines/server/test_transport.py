"""What happens on the way to a Qdrant server: errors, retries, deadlines, connections."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from lookalike.adapter import deadline
from lookalike.adapter.engines.server.attempts import ATTEMPTS
from lookalike.adapter.engines.server.engine import ServerEngine, wait_for_server
from lookalike.adapter.engines.server.server_settings import ServerSettings
from lookalike.adapter.errors import (
    CollectionNotFound,
    DiskFull,
    EngineFailed,
    EngineUnavailable,
    RecordsNotFound,
)
from tests.engines.server.stub import Answer, Request, Stub, fault, ok

COUNT = ok({"count": 7})


def in_turn(stub: Stub, *answers: Answer) -> None:
    """The answers one after the other, the last one for ever."""
    rest: Iterator[Answer] = iter(answers[:-1])
    stub.answer = lambda _: next(rest, answers[-1])


async def test_the_key_is_sent_and_connections_to_localhost_are_kept(
    stub: Stub, server_engine: ServerEngine
) -> None:
    stub.answer = lambda _: COUNT
    for _ in range(5):
        assert (await server_engine.count("c")).count == 7
    assert stub.connections == 1
    assert {request.headers["api-key"] for request in stub.requests} == {"the-key"}
    assert {request.headers["connection"] for request in stub.requests} == {"keep-alive"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fault(404, "Not found: Collection `c` doesn't exist!"), CollectionNotFound),
        (fault(404, "Not found: No point with id 5 found"), RecordsNotFound),
        (fault(404, "<html>nginx</html>"), EngineFailed),
        (fault(400, "Wrong input: secret value"), EngineFailed),
        (fault(401, "Must provide an API key"), EngineFailed),
        (fault(403, "forbidden"), EngineFailed),
        (fault(422, "secret value"), EngineFailed),
        (fault(500, "Service internal error: secret value"), EngineUnavailable),
        (fault(503, "unavailable"), EngineUnavailable),
        (fault(500, "Service internal error: No space left on device: secret"), DiskFull),
        (fault(507, "secret"), DiskFull),
        ((200, {}, {"result": "secret value"}), EngineFailed),
    ],
)
async def test_each_answer_has_its_error_and_no_value_is_repeated(
    stub: Stub, server_engine: ServerEngine, answer: Answer, expected: type[Exception]
) -> None:
    stub.answer = lambda _: answer
    with pytest.raises(expected) as caught:
        await server_engine.count("c")
    assert type(caught.value) is expected
    assert "secret" not in str(caught.value)
    assert len(stub.requests) == (ATTEMPTS if expected is EngineUnavailable else 1)


@pytest.mark.parametrize("trouble", [None, fault(503), fault(500), fault(429)])
async def test_a_read_is_repeated_until_it_succeeds(
    stub: Stub, server_engine: ServerEngine, trouble: Answer
) -> None:
    in_turn(stub, trouble, trouble, COUNT)
    assert (await server_engine.count("c")).count == 7
    assert len(stub.requests) == 3


async def test_a_write_that_names_its_points_is_repeated(
    stub: Stub, server_engine: ServerEngine
) -> None:
    in_turn(stub, None, ok({"operation_id": 1, "status": "completed"}))
    await server_engine.delete("c", points_selector=[1])
    assert len(stub.requests) == 2
    assert "ordering=medium" in stub.requests[0].query


async def test_what_cannot_be_repeated_is_sent_once(
    stub: Stub, server_engine: ServerEngine
) -> None:
    in_turn(stub, None, ok(True))
    with pytest.raises(EngineUnavailable):
        await server_engine.create_collection("c", vectors_config={})
    assert len(stub.requests) == 1
    in_turn(stub, fault(429), ok(True))
    assert await server_engine.create_collection("c", vectors_config={})


async def test_an_overloaded_server_says_when_to_come_back(
    stub: Stub, server_engine: ServerEngine
) -> None:
    overloaded = fault(429, "rate limit", **{"Retry-After": "170"})
    stub.answer = lambda _: overloaded
    with pytest.raises(EngineUnavailable) as caught:
        await server_engine.count("c")
    assert caught.value.retry_after_s == 170
    assert len(stub.requests) == 1, "170 s are beyond the deadline"


async def test_a_call_ends_at_its_deadline_with_all_its_repetitions(
    stub: Stub, server_engine: ServerEngine
) -> None:
    async def slow(_: Request) -> Answer:
        await asyncio.sleep(0.9)
        return fault(503)

    stub.answer = slow
    deadline.start(2.0)
    with pytest.raises(EngineUnavailable):
        await server_engine.count("c")
    assert len(stub.requests) < ATTEMPTS


async def test_the_server_is_told_when_to_give_up(stub: Stub, server_engine: ServerEngine) -> None:
    stub.answer = lambda _: COUNT
    deadline.start(20.0)
    before_s = deadline.left(20.0)
    await server_engine.count("c")
    name, told_s = stub.requests[0].query.split("=")
    assert name == "timeout"
    assert deadline.left(20.0) <= int(told_s) <= math.ceil(before_s)


async def test_a_server_that_is_away_is_unavailable(
    server_engine: ServerEngine, stub: Stub
) -> None:
    await stub.stop()
    with pytest.raises(EngineUnavailable):
        await server_engine.query_points("c", query=[1.0], limit=1)
    with pytest.raises(EngineUnavailable):
        await server_engine.create_collection("c", vectors_config={})
    await stub.start()


def qdrant(version: str, *, key: str | None = None) -> Any:
    def answer(request: Request) -> Answer:
        if request.path == "/":
            return 200, {}, {"title": "qdrant", "version": version}
        if key not in (None, request.headers.get("api-key")):
            return fault(403, "Invalid API key")
        return ok({"collections": [{"name": "a"}]})

    return answer


async def test_the_start_waits_for_the_server_and_says_so(
    stub: Stub, server_engine: ServerEngine
) -> None:
    stub.answer = qdrant("1.20.3")
    await stub.stop()
    said: asyncio.Queue[str] = asyncio.Queue()
    waiting = asyncio.create_task(wait_for_server(server_engine, 30.0, said.put_nowait))
    assert await said.get() == "Waiting for the Qdrant server, 30 s at most ..."
    port = int(stub.url.rpartition(":")[2])
    stub._server = await asyncio.start_server(stub._serve, "127.0.0.1", port)
    assert await waiting == "1.20.3"
    assert said.empty(), "said once"
    assert await server_engine.health() == {"ready": True, "version": "1.20.3", "collections": 1}


async def test_the_start_waits_no_longer_than_told(stub: Stub) -> None:
    engine = ServerEngine.connect(ServerSettings(url="http://127.0.0.1:9"))
    with pytest.raises(EngineUnavailable):
        await wait_for_server(engine, 0.3, lambda _: None)
    await engine.close()


@pytest.mark.parametrize(
    ("answer", "text"),
    [(qdrant("1.16.2"), "1.16.2; 1.20 or newer"), (qdrant("1.20.0", key="other"), "API key")],
)
async def test_an_old_server_and_a_wrong_key_are_told_at_once(
    stub: Stub, server_engine: ServerEngine, answer: Any, text: str
) -> None:
    stub.answer = answer
    with pytest.raises(EngineFailed, match=text):
        await wait_for_server(server_engine, 30.0, lambda _: None)


async def test_https_encrypts_and_the_certificate_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    stub = Stub(answer=lambda _: COUNT)
    await stub.start(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))

    stranger = ServerEngine.connect(ServerSettings(url=stub.url))
    with pytest.raises(EngineUnavailable):
        await stranger.count("c")
    await stranger.close()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    friend = ServerEngine.connect(ServerSettings(url=stub.url))
    assert (await friend.count("c")).count == 7
    await friend.close()
    await stub.stop()
