"""The limits within which images are fetched and decoded."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All of them are per image, except where the line says otherwise."""

    max_bytes: Annotated[int, Meta(ge=1)] = 32 * 1024 * 1024
    """The most bytes of an encoded image, sent or fetched."""
    max_pixels: Annotated[int, Meta(ge=1)] = 64_000_000
    """The most pixels, judged by the header before decoding; Pillow's own limit is 178 million."""
    decode_threads: Annotated[int, Meta(ge=1)] = 2
    """How many images are decoded at once, for the whole process."""
    decode_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """The longest that an image may be decoded, its turn not waited for."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts (`photos.internal`) and networks (`10.1.0.0/16`) to fetch from although not public."""
    fetch_timeout_s: Annotated[float, Meta(gt=0)] = 20.0
    """The longest that a fetch may take, from the wait for its turn to the last byte."""
    connect_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    """The longest wait for one connection, of the time above."""
    max_redirects: Annotated[int, Meta(ge=0)] = 5
    """The most redirects that are followed; each target is checked like the first URL."""
    fetch_connections: Annotated[int, Meta(ge=1)] = 16
    """How many images are fetched at once, for the whole process; as many again of searches."""
