"""What the adapter talks to: any object with the methods of `AsyncQdrantClient` that we use."""

from __future__ import annotations

from typing import TypeAlias

from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.server.engine import ServerEngine

Engine: TypeAlias = EmbeddedEngine | ServerEngine
