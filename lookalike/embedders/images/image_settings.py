"""The limits within which images are fetched and decoded."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, field


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All of them are per image, except where the line says otherwise.

    The service reads those that are not `INTERNAL` from variables with the encoded names.
    """

    INTERNAL: ClassVar = (
        *("decode_threads", "decode_timeout_s", "connect_timeout_s", "max_redirects"),
        *("fetch_connections", "fetch_attempts"),
    )

    max_bytes: Annotated[int, Meta(ge=1)] = field(default=32 * 1024 * 1024, name="max_image_bytes")
    """Largest picture, as a file."""
    max_pixels: Annotated[int, Meta(ge=1)] = field(default=64_000_000, name="max_image_pixels")
    """Largest picture, decoded."""
    decoding_memory_mb: Annotated[int, Meta(ge=64)] = 400
    """Most memory that decoding one picture may need, in MB."""
    fetch_timeout_s: Annotated[float, Meta(gt=0)] = 20.0
    """Seconds to fetch one `_url`, redirects included."""
    allowed_hosts: tuple[str, ...] = field(default=(), name="fetch_allow")
    """Hosts and networks (CIDR) that `_url` may name although their addresses are private."""

    fetch_per_host: Annotated[int, Meta(ge=1)] = 4
    """Connections to one host at once, of each API process; the last one is kept for searches."""
    fetch_contact: Annotated[str, Meta(pattern="^[ -'*-~]*$", max_length=200)] = ""
    """URL or mail address for the owners of hosts, sent in `User-Agent` behind our version."""

    decode_threads: Annotated[int, Meta(ge=1)] = 2
    """How many images are decoded at once, for the whole process."""
    decode_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """The longest that an image may be decoded, its turn not waited for."""
    connect_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    """The longest wait for one connection, of `fetch_timeout_s`."""
    max_redirects: Annotated[int, Meta(ge=0)] = 5
    """The most redirects that are followed; each target is checked like the first URL."""
    fetch_connections: Annotated[int, Meta(ge=1)] = 16
    """How many images are fetched at once, for the whole process; as many again of searches."""
    fetch_attempts: Annotated[int, Meta(ge=1)] = 4
    """How often a `_url` is asked for whose server is busy or breaks off, in its time."""
