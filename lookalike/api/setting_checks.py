"""What the types of the settings cannot say: checked together, before anything starts.

A fault that showed only later would be a traceback, or a service that never becomes ready.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from lookalike.api.auth import tokens_from
from lookalike.api.request_paths import collections_by_prefix
from lookalike.api.settings import PREFIX, Settings, SettingsError


def check_settings(settings: Settings) -> None:
    """Raises SettingsError, which names the variable. Opens no connection and makes no file."""
    tokens_from(settings.access)
    collections_by_prefix(settings.http)
    _check_url("QDRANT_URL", settings.qdrant.url, "http://qdrant:6333")
    _check_url("REMOTE_URL", settings.remote.url, "http://127.0.0.1:7997")
    _check_hosts(settings.images.allowed_hosts)
    _check_embedder(settings.embedders.embedder)


def _check_url(name: str, url: str, example: str) -> None:
    """The value is not repeated: it may hold a password."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # Brackets that do not close, a port that is no number.
        usable = False
    if not usable or any(character.isspace() for character in url):
        raise SettingsError(f"{PREFIX}{name}: not a URL such as {example}")


def _check_hosts(hosts: tuple[str, ...]) -> None:
    from lookalike.embedders.images.addresses import AddressRules

    try:
        AddressRules(hosts)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}FETCH_ALLOW: {error}") from None


def _check_embedder(name: str) -> None:
    if not name:
        return
    from lookalike.embedders.registry import installed

    known = [point.name for point in installed()]
    if name not in known:
        raise SettingsError(
            f"{PREFIX}EMBEDDER: no embedder has this name; installed are: {', '.join(known)}"
        )
