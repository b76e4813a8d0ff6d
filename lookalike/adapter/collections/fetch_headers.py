"""The setting `fetch_headers`: what private origins want to see before they give a picture away.

Origin -> header -> value. An origin is a scheme, a host and a port, and its headers are sent to it
alone: neither to another port of the host, nor over http what was meant for https, nor wherever a
redirect leads. The values are secrets. They are kept in the metadata of the collection under a key
of their own (`store.HEADERS_KEY`) and leave it for the fetch only: no view, export or message has
them, and a place in a message names origins and headers.
"""

from __future__ import annotations

import re

import httpx
import msgspec

from lookalike.adapter.errors import InvalidRequest

FetchHeaders = dict[str, dict[str, str]]

MAX_ORIGINS = 16
MAX_HEADERS = 16
MAX_HEADER_BYTES = 16 * 1024
"""Of the whole setting, as JSON."""

REFUSED = frozenset(
    {
        # Of one connection (RFC 9110, 7.6.1), or of how the request itself is sent.
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("host", "content-length", "expect", "accept-encoding"),
    }
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def checked_headers(given: FetchHeaders, place: str) -> FetchHeaders:
    """The setting with its origins in one form. Raises InvalidRequest, which names no value."""
    if len(given) > MAX_ORIGINS:
        raise InvalidRequest(f"There may be {MAX_ORIGINS} origins at the most", place=place)
    if len(msgspec.json.encode(given)) > MAX_HEADER_BYTES:
        raise InvalidRequest(f"All together have more than {MAX_HEADER_BYTES} bytes", place=place)
    checked: FetchHeaders = {}
    for text, headers in given.items():
        origin = _origin(text, place)
        if origin in checked:
            raise InvalidRequest("The origin is named twice", place=f"{place}.{origin}")
        _check(headers, f"{place}.{origin}")
        checked[origin] = dict(headers)
    return checked


def _origin(text: str, place: str) -> str:
    """As the URL of a picture has it. What is no origin may be a secret, and is not repeated."""
    try:
        url = httpx.URL(text)
        origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        whole = url.scheme in ("http", "https") and url.host != "" and not url.userinfo
    except (httpx.InvalidURL, ValueError):
        whole = False
    if not whole or str(url).rstrip("/") != origin:
        raise InvalidRequest(
            "An origin is written as https://images.example.com or http://10.0.0.7:8080",
            place=place,
        )
    return origin


def _check(headers: dict[str, str], place: str) -> None:
    if len(headers) > MAX_HEADERS:
        raise InvalidRequest(f"There may be {MAX_HEADERS} headers at the most", place=place)
    known: set[str] = set()
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise InvalidRequest("A header has a name that is none", place=place)
        here = f"{place}.{name}"
        if name.lower() in REFUSED:
            raise InvalidRequest("This header belongs to the connection, not to you", place=here)
        if name.lower() in known:
            raise InvalidRequest("The header is named twice", place=here)
        if not _VALUE.fullmatch(value):
            raise InvalidRequest(
                "The value must be printable ASCII, without spaces around it", place=here
            )
        known.add(name.lower())
