"""What `qdrant_client` raises, as our own errors.

The server's texts repeat values of the request and may hold addresses: they go to the debug log and
never into an answer.
"""

from __future__ import annotations

import logging

import httpx
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from lookalike.adapter.errors import (
    CollectionNotFound,
    DiskFull,
    EngineFailed,
    EngineUnavailable,
    LookalikeError,
    RecordsNotFound,
)

log = logging.getLogger("lookalike.engine")

CLIENT_ERRORS = (ApiException, QdrantException, ValueError)
"""`ValueError` is what the client's local mode raises for everything."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_REFUSED_BEFORE_WORK = 429


class NotSent(EngineUnavailable):
    """The request has not been worked on, so that even a write may be sent again."""


def translated(error: Exception) -> LookalikeError:
    """The error of ours that stands for one of `CLIENT_ERRORS`."""
    log.debug("the engine answered: %s", error)
    if isinstance(error, ResourceExhaustedResponse):
        return NotSent("The engine is overloaded.", retry_after_s=max(1, error.retry_after_s))
    if isinstance(error, ResponseHandlingException):
        return _of_transport(error.source)
    if isinstance(error, UnexpectedResponse):
        return _of_status(error)
    return _not_found(str(error)) or EngineFailed("The engine refused the request.")


def _of_transport(source: Exception) -> LookalikeError:
    if isinstance(source, httpx.TimeoutException) and not isinstance(source, _NOT_SENT):
        return EngineUnavailable("The engine did not answer in time.")
    if isinstance(source, httpx.TransportError):
        kind = NotSent if isinstance(source, _NOT_SENT) else EngineUnavailable
        return kind("The engine cannot be reached.")
    return EngineFailed("The engine's answer cannot be read.")


def _of_status(error: UnexpectedResponse) -> LookalikeError:
    status = error.status_code or 0
    if status == _REFUSED_BEFORE_WORK:
        return NotSent("The engine is overloaded.")
    if status == 507 or (status == 500 and b"No space left on device" in error.content):
        return DiskFull("The disk of the Qdrant server is full.")
    if status == 408 or status >= 500:
        return EngineUnavailable("The engine is not available.", retry_after_s=_after(error))
    if status in (401, 403):
        return EngineFailed("The Qdrant server refuses the API key.")
    if status == 404:
        text = error.content.decode(errors="replace")
        return _not_found(text) or EngineFailed("The URL is not that of a Qdrant server.")
    return EngineFailed("The engine refused the request.")


def _after(error: UnexpectedResponse) -> int:
    after = error.headers.get("Retry-After", "") if error.headers is not None else ""
    return max(1, int(after)) if after.isdigit() else 1


def _not_found(text: str) -> LookalikeError | None:
    """Server and local mode tell in words only what is missing."""
    if "No point with id" in text or ("Point " in text and "not found" in text):
        return RecordsNotFound()
    if "Vector with name" in text and "for point" in text:
        return RecordsNotFound()
    if "ollection" in text and ("doesn't exist" in text or "not found" in text):
        return CollectionNotFound("Collection not found.")
    return None
