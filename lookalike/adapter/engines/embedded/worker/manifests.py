"""The manifest of a collection: what is not a point, in a file that tells when it is damaged.

    manifest.json        checksum, name, schema, metadata, payload indexes, and the current shard
    manifest.copy.json   the same, written after it, for `lookalike doctor`

The checksum is of the bytes behind it, so a byte that has changed is noticed whatever it means. A
manifest of an older version has none and is read as it is.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from pathlib import Path
from typing import Any

import msgspec

from lookalike.adapter.engines.embedded.worker.files import write_file
from lookalike.adapter.engines.embedded.worker.schema import Schema

MANIFEST, COPY = "manifest.json", "manifest.copy.json"

_CHECKSUM = re.compile(rb'\{\n "checksum": "([0-9a-f]{8})",')


class ManifestDamaged(Exception):
    """The text says in plain words what is wrong with the file."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a collection that is not a point."""

    name: str
    collection_schema: Schema
    metadata: dict[str, Any] = {}
    payload_indexes: dict[str, str] = {}
    """Path -> kind."""
    new_vectors: list[str] = []
    """Those added since the shard was built, which are not quantized yet."""
    shard: str = "shard-1"
    graph_indexes: list[str] | None = None
    """The payload indexes that the HNSW graph has links for; None without a graph."""
    format: int = 1


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replaces both files. Raises OSError where the first one could not be replaced."""
    body = msgspec.json.format(msgspec.json.encode(manifest), indent=1)[1:]
    content = b'{\n "checksum": "%08x",' % zlib.crc32(body) + body
    write_file(folder / MANIFEST, content)
    with contextlib.suppress(OSError):  # What counts is written.
        write_file(folder / COPY, content)


def read_manifest(file: Path) -> Manifest:
    """Raises ManifestDamaged."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise ManifestDamaged(f"{file.name} is missing") from None
    except OSError as error:
        raise ManifestDamaged(f"{file.name} cannot be read: {error.strerror}") from None
    checksum = _CHECKSUM.match(content)
    if checksum is not None and int(checksum[1], 16) != zlib.crc32(content[checksum.end() :]):
        raise ManifestDamaged(f"{file.name} is damaged: its checksum is another")
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ManifestDamaged(f"{file.name} is damaged: it cannot be read") from None
