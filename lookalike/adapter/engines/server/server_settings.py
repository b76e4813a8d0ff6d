"""What can be set of the engine in front of a Qdrant server."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, field

from lookalike.adapter.deadline import READ_TIMEOUT_S


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the Qdrant server is and how long it is waited for.

    The service reads those that are not `INTERNAL` from variables with the encoded names.
    """

    INTERNAL: ClassVar = ("max_connections",)

    url: str = field(default="", name="qdrant_url")
    """URL of a Qdrant server, such as `http://qdrant:6333`; empty: the embedded engine."""
    api_key: str = field(default="", name="qdrant_api_key")
    """API key of the Qdrant server."""
    read_timeout_s: Annotated[float, Meta(gt=0)] = field(
        default=READ_TIMEOUT_S, name="qdrant_timeout_s"
    )
    """Seconds that one read from the Qdrant server may take, its repetitions included."""
    start_wait_s: Annotated[float, Meta(ge=0)] = field(default=60.0, name="qdrant_wait_s")
    """Seconds that the start waits for the Qdrant server."""

    max_connections: int = 100
    """Kept open to the server, by one API process."""
