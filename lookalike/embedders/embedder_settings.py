"""The settings of the embedders that have some, each default written once.

`load` of such an embedder takes the fields of its struct as keyword arguments. The service reads
them from variables with the encoded names, such as `LOOKALIKE_CLIP_MODEL` for `model`, so that the
line under a field is the documentation of its variable. This module imports nothing large: it is
read at every start.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_IMAGE_PX = 4096
"""The largest side of the square that a model may see."""
MAX_DIMENSION = 65_536
"""The most numbers that a vector may have, here and in the engines."""

ClipPrecision = Literal["auto", "float32", "float16", "bfloat16", "int8"]
RemoteApi = Literal["openai", "jina", "tei"]


class ClipSettings(
    msgspec.Struct, frozen=True, kw_only=True, rename=lambda option: f"clip_{option}"
):
    """Keyword arguments of `lookalike.embedders.clip.load`."""

    model: str = ""
    """Model of the embedder `clip`: a folder, or a name on the Hugging Face hub."""
    download: bool = False
    """Fetch that name from the hub if it is not on this machine."""
    device: str = "auto"
    """Where `clip` computes: `cpu`, `cuda`, `cuda:1`, `mps`; `auto`: the first GPU there is."""
    precision: ClipPrecision = "auto"
    """Numbers that `clip` computes with; `auto`: the fastest that there is."""


class RemoteSettings(
    msgspec.Struct, frozen=True, kw_only=True, rename=lambda option: f"remote_{option}"
):
    """Keyword arguments of `lookalike.embedders.remote.load`."""

    url: str = ""
    """Address of the server that the embedder `remote` asks for vectors."""
    api: RemoteApi = "openai"
    """How it is asked: docs/embedders.md shows the bodies."""
    model: str = ""
    """Model that it is asked for; change it with the server's weights."""
    api_key: str = ""
    """API key of that server, sent as a bearer token."""
    text: bool = False
    """The server embeds texts too, in the same space."""
    dimension: Annotated[int, Meta(ge=0)] = 0
    """Numbers of its vectors, checked at the start; 0: as many as it answers."""
    image_px: Annotated[int, Meta(ge=1, le=MAX_IMAGE_PX)] = 224
    """Side of the square that its model sees; pictures are sent twice as large."""
    timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """Seconds that it may take for one request."""
