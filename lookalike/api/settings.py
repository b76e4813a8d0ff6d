"""Settings: from the environment only, prefix `LOOKALIKE_`, parsed once into frozen groups.

A field is read from `LOOKALIKE_` and its encoded name in capitals; lists are separated by commas.
The line under a field is its documentation, which docs/configuration.md repeats. Settings of a room
below are a struct of that room, so that a default, a range and a text stand once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from lookalike.adapter.engines.server.server_settings import ServerSettings
from lookalike.adapter.limits import Limits, Positive
from lookalike.embedders.embedder_settings import ClipSettings, RemoteSettings
from lookalike.embedders.images.image_settings import ImageSettings

PREFIX = "LOOKALIKE_"

# Between the processes of one service, and no settings: the main process tells these the others.
INTERNAL_PREFIX = f"{PREFIX}INTERNAL_"
ENGINE_SOCKET = f"{INTERNAL_PREFIX}ENGINE_SOCKET"
MAIN_PID = f"{INTERNAL_PREFIX}MAIN_PID"

MAX_NUMBER, MAX_SECONDS = 10**12, 10**8
"""No setting means more; the numbers and the timers of what is below end at 63 bits or earlier."""

STRICT_MAX_RECORDS = 10
"""The provider's own limit of a batch."""


class SettingsError(Exception):
    """A setting cannot be used; the text names the variable."""


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how the service answers."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback is refused until tokens are configured."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    """Port to listen on; 0: one that is free, which the start prints."""
    workers: Positive = 1
    """API processes. All of them share one engine."""
    request_timeout_s: Annotated[float, Meta(gt=0)] = 300.0
    """Seconds after which a request is given up, whatever it waits for."""
    strict: bool = False
    """Act as the provider where we are more lenient: 10 records a batch, prefix fits the type."""
    any_prefix: bool = False
    """Answer the methods under unknown prefixes too (`/<anything>/v2/insert`)."""
    prefix_collections: tuple[str, ...] = ()
    """Collections of clients that name none, each `prefix=collection`, by its id or its name."""
    mirror_status: bool = False
    """Repeat codes of 400 and above from the body in the HTTP status."""
    max_body_bytes: Positive = 64 * 1024 * 1024
    """Largest request body."""
    user_id: str = "00000000-0000-4000-8000-000000000001"
    """The `user_id` that `authorize` and the account methods answer."""


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may use the service."""

    tokens: tuple[str, ...] = ()
    """Tokens, each `token[:scopes[:collections]]`; scopes and collection ids are joined by `+`."""
    token_share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """Part of the requests and pictures under way that one of several tokens may have."""
    tokens_file: str = ""
    """File with one token a line: SHA-256 of the token in hex, scopes, collection ids."""


class DataSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where this machine keeps things."""

    folder: str = field(default="data", name="data")
    """Folder of the embedded engine and of prepared models; created if missing."""

    @property
    def models_folder(self) -> Path:
        """Where embedders keep what they prepare."""
        return Path(self.folder) / "models"


class EmbedderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which embedder new collections get."""

    embedder: str = ""
    """Embedder of new collections that name none, but for `matching`, `colors`; empty: by type."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of the service, in groups."""

    http: HttpSettings = HttpSettings()
    access: AccessSettings = AccessSettings()
    data: DataSettings = DataSettings()
    worker: WorkerSettings = WorkerSettings()
    qdrant: ServerSettings = ServerSettings()
    embedders: EmbedderSettings = EmbedderSettings()
    clip: ClipSettings = ClipSettings()
    remote: RemoteSettings = RemoteSettings()
    images: ImageSettings = ImageSettings()
    limits: Limits = Limits()

    @property
    def embedder_options(self) -> dict[str, dict[str, Any]]:
        """What the bundled embedders are loaded with, by their name."""
        return {
            "clip": msgspec.structs.asdict(self.clip),
            "remote": msgspec.structs.asdict(self.remote),
        }

    @property
    def limits_in_force(self) -> Limits:
        """The limits, or the provider's where they are stricter and `strict` is set."""
        if not self.http.strict:
            return self.limits
        most = min(self.limits.max_records, STRICT_MAX_RECORDS)
        return msgspec.structs.replace(self.limits, max_records=most)


def setting_groups() -> dict[str, type[msgspec.Struct]]:
    """The group of each field of `Settings`."""
    return {group.name: type(group.default) for group in msgspec.structs.fields(Settings)}


def setting_fields(group: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    """The fields of a group that are read from the environment."""
    internal = getattr(group, "INTERNAL", ())
    return [each for each in msgspec.structs.fields(group) if each.name not in internal]


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Raises SettingsError for a value of the wrong type and for an unknown `LOOKALIKE_` name."""
    environment = os.environ if environment is None else environment
    known = {
        PREFIX + setting.encode_name.upper(): (group, setting)
        for group, struct in setting_groups().items()
        for setting in setting_fields(struct)
    }
    values: dict[str, dict[str, Any]] = {group: {} for group in setting_groups()}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable.startswith(INTERNAL_PREFIX):
            continue
        if variable not in known:
            raise SettingsError(f"{variable} is not a setting")
        _check_text(variable, text)
        group, setting = known[variable]
        values[group][setting.encode_name] = _parse(text, isinstance(setting.default, tuple))
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        variable = PREFIX + place.rstrip("`").partition(".")[2].upper()
        raise SettingsError(f"{variable}: {text}") from None
    for variable, (group, setting) in known.items():
        _check_number(variable, getattr(getattr(settings, group), setting.name))
    return settings


def _check_text(variable: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # Bytes that are not UTF-8 come as lone surrogates.
        raise SettingsError(f"{variable}: not UTF-8") from None


def _check_number(variable: str, value: object) -> None:
    """Of a text `nan` is made as well, which is no less than any bound and no more."""
    most = MAX_SECONDS if isinstance(value, float) else MAX_NUMBER
    if isinstance(value, int | float) and not value <= most:
        raise SettingsError(f"{variable}: Expected a number <= {most}")


def _parse(text: str, is_list: bool) -> str | list[str]:
    if is_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text
