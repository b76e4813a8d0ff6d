"""Fields of a body and parameters of a query that a method does not know: accepted, and named.

Clients send such fields to every method, so they are no fault. But one that is silently dropped may
be a misspelt one. So the answer names them under `statistics.ignored`, and the log once for each
method.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Container, Iterable, Sequence
from contextvars import ContextVar

import msgspec

log = logging.getLogger("lookalike")

MAX_NAMED = 20
MAX_NAME_CHARACTERS = 60

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])

# A context variable and no argument: the body is decoded before the handler is called, and every
# answer has to name what was ignored.
_of_request: ContextVar[list[str]] = ContextVar("lookalike_ignored_fields")


def forget() -> None:
    """From now on nothing of the present task's request has been ignored."""
    _of_request.set([])


def noted() -> list[str]:
    """What was ignored of the request at hand."""
    return _of_request.get([])


def note(body: bytes, known: Container[str], query: Iterable[str], path: str) -> None:
    """Takes down the fields of a body, a valid one, that are not known, and the parameters of the
    query that are not: `?name`.

    Null stands for "not given", so it is nothing that could be ignored.
    """
    unknown = [
        name
        for name, value in _FIELDS.decode(body or b"{}").items()
        if name not in known and bytes(value) != b"null"
    ]
    unknown += [f"?{name}" for name in set(query)]
    if not unknown:
        return
    shortened = [_shortened(name) for name in sorted(unknown)[:MAX_NAMED]]
    _of_request.set(shortened + ["…"] * (len(unknown) > MAX_NAMED))
    _log_once(path.rpartition("/")[2], tuple(shortened))


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME_CHARACTERS else name[:MAX_NAME_CHARACTERS] + "…"


@functools.lru_cache(maxsize=1024)
def _log_once(method: str, ignored: Sequence[str]) -> None:
    """A client sends the same fields in every request."""
    # As JSON, so that no name can begin a line of its own.
    log.warning("%s ignores fields that it does not know: %s", method, json.dumps(ignored))
