"""Settings: from the environment only, prefix `LOOKALIKE_`, parsed once into a frozen struct."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

PREFIX = "LOOKALIKE_"

Positive = Annotated[int, Meta(ge=1)]


class SettingsError(Exception):
    """A setting cannot be used; the text names the variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each field is read from `LOOKALIKE_` + its name in capitals; lists are separated by commas.

    The line under a field is its documentation; docs/configuration.md repeats it.
    """

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback is refused until tokens are configured."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    """Port to listen on."""
    data: str = "data"
    """Folder of the embedded engine and of prepared models; created if missing."""
    qdrant_url: str = ""
    """URL of a Qdrant server, such as `http://qdrant:6333`; empty: the embedded engine."""
    qdrant_api_key: str = ""
    """API key of the Qdrant server."""
    qdrant_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """Seconds that one read from the Qdrant server may take, its repetitions included."""
    qdrant_wait_s: Annotated[float, Meta(ge=0)] = 60.0
    """Seconds that the start waits for the Qdrant server."""
    request_timeout_s: Annotated[float, Meta(gt=0)] = 300.0
    """Seconds after which a request no longer waits for the engine."""
    workers: Positive = 1
    """API processes. All of them share one engine."""
    tokens: tuple[str, ...] = ()
    """Tokens, each `token[:scopes[:collections]]`; scopes and collection ids are joined by `+`."""
    tokens_file: str = ""
    """File with one token a line: SHA-256 of the token in hex, scopes, collection ids."""
    embedder: str = ""
    """Embedder of new collections that name none, but for `matching`, `colors`; empty: by type."""
    clip_model: str = ""
    """Model of the embedder `clip`: a folder, or a name on the Hugging Face hub."""
    clip_download: bool = False
    """Fetch that name from the hub if it is not on this machine."""
    clip_device: str = "auto"
    """Where `clip` computes: `cpu`, `cuda`, `cuda:1`, `mps`; `auto`: the first GPU there is."""
    clip_precision: Literal["auto", "float32", "float16", "bfloat16", "int8"] = "auto"
    """Numbers that `clip` computes with; `auto`: the fastest that there is."""
    remote_url: str = ""
    """Address of the server that the embedder `remote` asks for vectors."""
    remote_api: Literal["openai", "jina", "tei"] = "openai"
    """How it is asked: docs/embedders.md shows the bodies."""
    remote_model: str = ""
    """Model that it is asked for; change it with the server's weights."""
    remote_api_key: str = ""
    """API key of that server, sent as a bearer token."""
    remote_text: bool = False
    """The server embeds texts too, in the same space."""
    remote_dimension: Annotated[int, Meta(ge=0)] = 0
    """Numbers of its vectors, checked at the start; 0: as many as it answers."""
    remote_image_px: Annotated[int, Meta(ge=1, le=4096)] = 224
    """Side of the square that its model sees; images are sent twice as large."""
    remote_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """Seconds that it may take for one request."""
    strict: bool = False
    """Act as the provider where we are more lenient: 10 records a batch, prefix fits the type."""
    any_prefix: bool = False
    """Answer the methods under unknown prefixes too (`/<anything>/v2/insert`)."""
    mirror_status: bool = False
    """Repeat codes of 400 and above from the body in the HTTP status."""
    max_body_bytes: Positive = 64 * 1024 * 1024
    """Largest request body."""
    max_records: Positive = 100
    """Most records in one request."""
    max_results: Positive = 10_000
    """Larger `k`, `count` and `size` are cut to this."""
    max_image_bytes: Positive = 32 * 1024 * 1024
    """Largest image, as a file."""
    max_image_pixels: Positive = 64_000_000
    """Largest image, decoded."""
    fetch_timeout_s: Annotated[float, Meta(gt=0)] = 20.0
    """Seconds to fetch one `_url`, redirects included."""
    fetch_allow: tuple[str, ...] = ()
    """Hosts and networks (CIDR) that `_url` may name although their addresses are private."""
    hnsw_threshold_elements: Annotated[int, Meta(ge=0)] = 30_000_000
    """Vectors x dimensions beyond which the embedded engine builds an HNSW index; 0: never."""
    user_id: str = "00000000-0000-4000-8000-000000000001"
    """The `user_id` that `authorize` and the account methods answer."""

    @property
    def effective_max_records(self) -> int:
        return min(self.max_records, 10) if self.strict else self.max_records

    @property
    def embedder_options(self) -> dict[str, dict[str, Any]]:
        """What the bundled embedders are loaded with, by their name: `clip_model` for `clip` …"""
        options: dict[str, dict[str, Any]] = {name: {} for name in ("clip", "remote")}
        for field, value in msgspec.structs.asdict(self).items():
            name, _, option = field.partition("_")
            if name in options:
                options[name][option] = value
        return options


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Raises SettingsError for a value of the wrong type and for an unknown `LOOKALIKE_` name."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable.startswith(f"{PREFIX}INTERNAL_"):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in fields or variable != variable.upper():
            raise SettingsError(f"{variable} is not a setting")
        values[name] = _parse(text, isinstance(fields[name].default, tuple))
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise SettingsError(f"{PREFIX}{place.rstrip('`').upper()}: {text}") from None


def _parse(text: str, is_list: bool) -> str | list[str]:
    if is_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text
