"""One error tree in, three forms out: the provider's envelope, `detail`, and problem JSON.

An error of a method is answered as `{"status": {"code", "text"}, "detail"}`: the envelope for
clients that read `status`, `detail` for those that look for the gateway's form. Our own endpoints
answer RFC 9457 problem JSON, which has `detail` too.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from litestar import MediaType, Response
from litestar.exceptions import HTTPException, ValidationException

from lookalike.adapter.errors import (
    BodyTooLarge,
    EmbedderFailed,
    EngineFailed,
    LookalikeError,
    Unavailable,
)
from lookalike.api.dependencies import AnyRequest
from lookalike.api.envelopes import Clock

log = logging.getLogger("lookalike")

PROBLEM_JSON = "application/problem+json"


def on_error(request: AnyRequest, error: LookalikeError) -> Response[Any]:
    if error.http_status == 200:
        return _outcome(request, error)
    if error.http_status >= 500:
        # A cause that is not told to the client is a fault of ours, and its traceback is for us.
        ours = error.__cause__ if isinstance(error, EngineFailed | EmbedderFailed) else None
        log.warning("%s: %s", _asked(request), error, exc_info=ours)
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Unavailable) else {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Token"
    return _response(request, error.http_status, error.code, error.text, error.place, headers)


def on_http_exception(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Faults that the framework finds: unknown paths, wrong verbs, bodies over the limit."""
    if error.status_code == 413:
        return on_error(request, BodyTooLarge("The request body is too large."))
    text, place = error.detail, None
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        text, place = error.extra[0]["message"], error.extra[0].get("key")
    headers = dict(error.headers or {})
    return _response(request, error.status_code, error.status_code, text, place, headers)


def on_exception(request: AnyRequest, error: Exception) -> Response[Any]:
    """A bug of ours: the traceback is for the log, never for the client."""
    log.error("%s failed", _asked(request), exc_info=error)
    return _response(request, 500, 500, "Internal error.", None, {})


def _asked(request: AnyRequest) -> str:
    """Verb and path as the client has sent them; quoted, so that they stay on their line."""
    path = request.scope["state"].get("asked_path", request.url.path)
    return f"{request.method} {quote(path)}"


def _outcome(request: AnyRequest, error: LookalikeError) -> Response[Any]:
    """An answer of the search engine that has nothing in it: the records are not found."""
    content = {
        "status": {"code": error.code, "text": error.text},
        "statistics": Clock().statistics(),
        "answer_records": [],
        "answer_distances": [],
        "answer_count": 0,
    }
    mirrored = request.app.state.settings.http.mirror_status
    return Response(content, status_code=error.code if mirrored else 200)


def _response(
    request: AnyRequest,
    http_status: int,
    code: int,
    text: str,
    place: str | None,
    headers: dict[str, str],
) -> Response[Any]:
    detail = f"{text} (at {place})" if place else text
    content: dict[str, Any]
    if request.url.path.startswith("/similarity/v2/"):
        content = {"type": "about:blank", "title": text, "status": http_status, "detail": detail}
        if place:
            content["place"] = place
        return Response(content, status_code=http_status, headers=headers, media_type=PROBLEM_JSON)
    status: dict[str, Any] = {"code": code, "text": text}
    if place:
        status["place"] = place
    content = {"status": status, "detail": detail}
    return Response(content, status_code=http_status, headers=headers, media_type=MediaType.JSON)
