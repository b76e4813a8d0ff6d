"""What can be set of the engine in front of a Qdrant server."""

from __future__ import annotations

import msgspec

from lookalike.adapter.deadline import READ_TIMEOUT_S


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the Qdrant server is and how long it is waited for."""

    url: str = "http://127.0.0.1:6333"
    """`https://` encrypts. Without a port it is 6333."""

    api_key: str = ""

    read_timeout_s: float = READ_TIMEOUT_S
    """For one read, its repetitions included."""

    max_connections: int = 100
