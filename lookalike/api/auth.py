"""Tokens: who may do what.

A token is never kept, only its SHA-256. Tokens are long and random (`lookalike tokens create`
makes them of 256 bits), so a slow password hash would protect nothing more.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import msgspec

from lookalike.adapter.errors import Forbidden, Unauthorized
from lookalike.api.settings import AccessSettings, SettingsError

TokenScope = Literal["read", "write", "admin"]
SCOPES: tuple[TokenScope, ...] = get_args(TokenScope)
ALL_SCOPES: frozenset[TokenScope] = frozenset(SCOPES)

PLACEHOLDERS = {"change-me", "change-me-too", "changeme"}
"""What examples have in place of a token."""

_HEADER = re.compile(r"\s*(?:token|jwt|bearer)\s+(\S+)\s*", re.IGNORECASE)


class Grant(msgspec.Struct, frozen=True):
    """What one token allows. `collections` is None for all of them."""

    digest: bytes
    scopes: frozenset[TokenScope] = ALL_SCOPES
    collections: frozenset[str] | None = None

    def require(self, scope: TokenScope) -> None:
        """Raises Forbidden."""
        if scope not in self.scopes:
            raise Forbidden("You do not have permission to perform this action.")

    def require_all_collections(self, what: str) -> None:
        """Raises Forbidden for a token that is bound to collections."""
        if self.collections is not None:
            raise Forbidden(f"A token that is bound to collections cannot {what}.")

    def allows_collection(self, collection_id: str) -> bool:
        return self.collections is None or collection_id in self.collections

    @property
    def only_collection(self) -> str | None:
        """The collection of a token that is bound to a single one."""
        ids = self.collections or ()
        return next(iter(ids)) if len(ids) == 1 else None


ANYONE = Grant(b"")


class Tokens:
    """All configured tokens. Without any, every token (and none) is accepted with every right."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._grants = tuple(grants)

    @property
    def configured(self) -> bool:
        return bool(self._grants)

    @property
    def several(self) -> bool:
        return len(self._grants) > 1

    def grant(self, authorization: str | None) -> Grant:
        """What the `Authorization` header allows. Raises Unauthorized."""
        if not self._grants:
            return ANYONE
        if authorization is None:
            raise Unauthorized("Authentication credentials were not provided.")
        header = _HEADER.fullmatch(authorization)
        if header is None:
            raise Unauthorized("Invalid token header.")
        digest = token_digest(header[1])
        found = None
        for grant in self._grants:  # all of them, whichever matches: constant time
            if hmac.compare_digest(grant.digest, digest):
                found = grant
        if found is None:
            raise Unauthorized("Invalid token.")
        return found


def token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    return secrets.token_hex(32)


def tokens_from(settings: AccessSettings) -> Tokens:
    """Raises SettingsError for an entry or a line that cannot be read; the token is not shown."""
    grants = [
        _entry(entry, f"LOOKALIKE_TOKENS, entry {number}")
        for number, entry in enumerate(settings.tokens, 1)
    ]
    if settings.tokens_file:
        grants += _file(Path(settings.tokens_file))
    return Tokens(grants)


def _entry(entry: str, place: str) -> Grant:
    token, *rest = entry.split(":")
    if token.lower() in PLACEHOLDERS:
        raise SettingsError(f"{place}: a token that everybody knows from an example")
    if not token or len(rest) > 2:
        raise SettingsError(f"{place}: token[:scopes[:collections]] is needed")
    return Grant(token_digest(token), *_rights([part.replace("+", ",") for part in rest], place))


def _file(path: Path) -> list[Grant]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise SettingsError(f"LOOKALIKE_TOKENS_FILE: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError("LOOKALIKE_TOKENS_FILE: the file is not UTF-8") from None
    grants = []
    for number, line in enumerate(lines, 1):
        place = f"LOOKALIKE_TOKENS_FILE, line {number}"
        words = line.partition("#")[0].split()
        if not words:
            continue
        if not re.fullmatch("[0-9a-f]{64}", words[0]) or len(words) > 3:
            raise SettingsError(f"{place}: SHA-256 in hex, scopes and collections are needed")
        grants.append(Grant(bytes.fromhex(words[0]), *_rights(words[1:], place)))
    if not grants:
        # Without any token everybody would be let in, which is not what a file of tokens is for.
        raise SettingsError("LOOKALIKE_TOKENS_FILE: the file has no token")
    return grants


def _rights(words: list[str], place: str) -> tuple[frozenset[TokenScope], frozenset[str] | None]:
    scopes: frozenset[TokenScope] = ALL_SCOPES
    if words and words[0]:
        unknown = set(words[0].split(",")) - set(SCOPES)
        if unknown:
            raise SettingsError(f"{place}: the scopes are {', '.join(SCOPES)}")
        scopes = frozenset(scope for scope in SCOPES if scope in words[0].split(","))
    collections = frozenset(words[1].split(",")) if len(words) > 1 and words[1] else None
    return scopes, collections
