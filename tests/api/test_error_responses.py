"""Every error of the tree, and every bug, in the forms that clients read."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.exceptions import HTTPException

from lookalike.adapter import errors as tree
from lookalike.adapter.errors import LookalikeError
from lookalike.api import error_responses

CLASSES = [
    kind
    for kind in vars(tree).values()
    if isinstance(kind, type) and issubclass(kind, LookalikeError) and kind.http_status != 200
]


async def answer_to(error: Exception, path: str) -> httpx.Response:
    """What a handler's error is answered with, through the whole of the framework."""

    @get(path)
    async def fail() -> None:
        raise error

    app = Litestar(
        [fail],
        exception_handlers={
            LookalikeError: error_responses.on_error,
            HTTPException: error_responses.on_http_exception,
            Exception: error_responses.on_exception,
        },
        logging_config=None,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("place", [None, "$.k"])
async def test_of_a_method(kind: type[LookalikeError], place: str | None) -> None:
    answer = await answer_to(kind("What is wrong", place=place), "/similarity/photos/v2/ping")
    assert answer.status_code == kind.http_status >= 400
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert body["status"]["code"] == kind.code
    assert body["status"]["text"] == "What is wrong"
    assert body["detail"] == ("What is wrong (at $.k)" if place else "What is wrong")
    assert ("retry-after" in answer.headers) == kind.retry
    assert ("www-authenticate" in answer.headers) == (kind.http_status == 401)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
async def test_of_our_own_endpoints(kind: type[LookalikeError]) -> None:
    """Problem JSON (RFC 9457), with `detail` for those who look for it."""
    answer = await answer_to(kind("What is wrong", place="$.k"), "/similarity/v2/collection")
    assert answer.status_code == kind.http_status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "What is wrong",
        "status": kind.http_status,
        "detail": "What is wrong (at $.k)",
        "place": "$.k",
    }


@pytest.mark.parametrize("path", ["/similarity/photos/v2/ping", "/similarity/v2/collection"])
@pytest.mark.parametrize(
    "bug", [ZeroDivisionError("a secret"), KeyError("a secret"), RecursionError()]
)
async def test_a_bug_of_ours(bug: Exception, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is for the log, and nothing of it for the client."""
    answer = await answer_to(bug, path)
    assert answer.status_code == 500
    assert answer.json()["detail"] == "Internal error."
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert type(bug).__name__ in caplog.text


async def test_a_fault_that_the_framework_finds() -> None:
    error = HTTPException("Too many", status_code=429, headers={"X-Wait": "1"})
    answer = await answer_to(error, "/similarity/photos/v2/ping")
    assert answer.status_code == 429
    assert answer.json()["status"] == {"code": 429, "text": "Too many"}
    assert answer.headers["x-wait"] == "1"
    answer = await answer_to(HTTPException(status_code=413), "/similarity/photos/v2/ping")
    assert answer.json()["status"]["code"] == 413
