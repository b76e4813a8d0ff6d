"""An embedding server over real HTTP: every kind of body, its failures, and the contract."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenacity
from PIL import Image

from lookalike.embedders import remote
from lookalike.embedders.batching import BatchedEmbedder
from lookalike.embedders.embedder_errors import EmbedderBroken, EmbedderUnreachable
from lookalike.embedders.testing import check_embedder, drawing
from tests.waiting import PATIENCE_SECONDS

KINDS = ("openai", "jina", "tei")
SIDE = 4
DIMENSION = 3 * SIDE * SIDE + 1


class Server:
    """Embeds an image as its colours in 4 x 4 places, a text as its letters.

    `answers` are given before that, once each: a status, or a function of the inputs.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any, Any]] = []
        self.answers: list[int | Callable[[list[Any]], Any]] = []
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, content = answer(self.path, json.loads(body), self.headers)
                with contextlib.suppress(ConnectionError):  # of who has stopped waiting
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, path: str, body: dict[str, Any], headers: Any) -> tuple[int, bytes]:
        self.requests.append((path, body, headers))
        inputs = body["inputs"] if path == "/embed" else body["input"]
        following = self.answers.pop(0) if self.answers else vectors_of
        if isinstance(following, int):
            return following, b"<html>\n  not now  </html>"
        vectors = following(inputs)
        if path == "/embed" or not isinstance(vectors, list):
            return 200, json.dumps(vectors).encode()
        items = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        return 200, json.dumps({"object": "list", "data": items[::-1]}).encode()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def vectors_of(inputs: list[Any]) -> Any:
    return [vector_of(one) for one in inputs]


def vector_of(one: Any) -> list[float]:
    text = one.get("image") or one.get("text", "") if isinstance(one, dict) else one
    is_image = isinstance(one, dict) and "image" in one
    if text.startswith("data:image/jpeg;base64,"):
        is_image, text = True, text.partition(",")[2]
    if not is_image:
        return [1.0, *([ord(c) / 100 for c in text[: DIMENSION - 1].ljust(DIMENSION - 1)])]
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return [1.0, *(np.asarray(small, float).ravel() / 64).tolist()]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BACKOFF", tenacity.wait_fixed(0.01))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [False, True])
def test_it_keeps_the_contract(server: Server, tmp_path: Path, kind: Any, text: bool) -> None:
    load = partial(remote.load, url=server.url, api=kind, text=text, image_px=32)
    check_embedder(load, "remote", tmp_path)


def test_bodies(server: Server, tmp_path: Path) -> None:
    def sent(kind: Any) -> list[tuple[str, Any]]:
        embedder = remote.load(
            tmp_path, url=server.url, api=kind, model="m", text=True, api_key="k", image_px=32
        )
        assert isinstance(embedder, remote.RemoteWithText)
        server.requests.clear()
        embedder.embed_images([drawing(1, 400, 300)])
        embedder.embed_texts(["red"])
        assert {headers["Authorization"] for _, _, headers in server.requests} == {"Bearer k"}
        embedder.close()
        return [(path, body) for path, body, _ in server.requests]

    (path, image), (_, text) = sent("openai")
    assert path == "/v1/embeddings"
    assert (image["model"], image["modality"], len(image["input"])) == ("m", "image", 1)
    shown = Image.open(io.BytesIO(base64.b64decode(image["input"][0].partition(",")[2])))
    assert (shown.format, shown.size) == ("JPEG", (85, 64))
    assert text == {"model": "m", "modality": "text", "input": ["red"]}
    (path, image), (_, text) = sent("jina")
    assert path == "/v1/embeddings"
    assert list(image["input"][0]) == ["image"]
    assert text == {"model": "m", "input": [{"text": "red"}]}
    (path, image), (_, text) = sent("tei")
    assert (path, list(image)) == ("/embed", ["inputs"])
    assert text == {"inputs": ["red"]}


def test_passing_failures_are_repeated(server: Server, tmp_path: Path) -> None:
    embedder = remote.load(tmp_path, url=server.url)
    server.answers += [503, 429]
    assert embedder.embed_images([drawing(1)]).shape == (1, DIMENSION)
    server.answers += [503, 502, 500]
    with pytest.raises(EmbedderUnreachable, match="LOOKALIKE_REMOTE_URL: the server answers 500"):
        embedder.embed_images([drawing(1)])
    embedder.close()


def test_other_failures_are_not(server: Server, tmp_path: Path) -> None:
    embedder = remote.load(tmp_path, url=server.url)
    server.answers += [401]
    with pytest.raises(EmbedderBroken, match="answers 401: <html> not now </html>"):
        embedder.embed_images([drawing(1)])
    assert embedder.embed_images([drawing(1)]).shape == (1, DIMENSION)
    embedder.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda inputs: {"error": "no"}, "answers no embeddings"),
        (lambda inputs: [["a"]], "answers no embeddings"),
        (lambda inputs: [[1.0], [2.0]], r"answers shape \(2, 1\) for 1 inputs"),
        (lambda inputs: [], r"answers shape \(0,\) for 1 inputs"),
    ],
)
@pytest.mark.parametrize("kind", ["openai", "tei"])
def test_answers_that_are_none(
    server: Server, tmp_path: Path, kind: Any, answer: Any, says: str
) -> None:
    server.answers.append(answer)
    with pytest.raises(EmbedderBroken, match=says):
        remote.load(tmp_path, url=server.url, api=kind)


def test_dimensions_are_checked_at_the_start(server: Server, tmp_path: Path) -> None:
    assert remote.load(tmp_path, url=server.url, dimension=DIMENSION).dimension == DIMENSION
    with pytest.raises(EmbedderBroken, match=f"answers {DIMENSION} numbers a picture, not 512"):
        remote.load(tmp_path, url=server.url, dimension=512)
    server.answers += [vectors_of, lambda inputs: [[1.0, 2.0]]]
    with pytest.raises(EmbedderBroken, match=f"2 numbers for a text and {DIMENSION} for a picture"):
        remote.load(tmp_path, url=server.url, text=True)


def test_the_model_is_part_of_the_revision(server: Server, tmp_path: Path) -> None:
    one, same, other = (remote.load(tmp_path, url=server.url, model=m) for m in ("a", "a", "b"))
    assert one.revision == same.revision != other.revision


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(EmbedderBroken, match="needs LOOKALIKE_REMOTE_URL"):
        remote.load(tmp_path)
    started = time.monotonic()
    with pytest.raises(EmbedderUnreachable, match=r"does not answer \(ConnectError\)"):
        remote.load(tmp_path, url="http://127.0.0.1:9")
    assert time.monotonic() - started < 30, "at once: a server that hangs is waited for so long"


def test_a_server_that_hangs(server: Server, tmp_path: Path) -> None:
    given_up = threading.Event()

    def hang(inputs: list[Any]) -> Any:
        given_up.wait(PATIENCE_SECONDS)
        return vectors_of(inputs)

    embedder = remote.load(tmp_path, url=server.url, timeout_s=0.5)
    server.answers += [hang] * remote.ATTEMPTS
    with pytest.raises(EmbedderUnreachable, match=r"does not answer \(ReadTimeout\)"):
        embedder.embed_images([drawing(1)])
    given_up.set()
    embedder.close()


async def test_an_outage_is_not_asked_about_image_by_image(server: Server, tmp_path: Path) -> None:
    embedder = BatchedEmbedder(remote.load(tmp_path, url=server.url))
    server.requests.clear()
    server.answers += [503] * 100
    requests = (embedder.embed_image(drawing(n)) for n in range(8))
    answers = await asyncio.gather(*requests, return_exceptions=True)
    assert all(isinstance(answer, EmbedderUnreachable) for answer in answers)
    assert len(server.requests) == 2 * remote.ATTEMPTS, "the first, and then all that waited"
    server.answers.clear()
    assert (await embedder.embed_image(drawing(1))).shape == (DIMENSION,)
    await embedder.close()
