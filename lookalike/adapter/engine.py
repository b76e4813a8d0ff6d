"""What the adapter talks to: any object with the methods of `AsyncQdrantClient` that we use."""

from __future__ import annotations

from typing import TypeAlias

from qdrant_client import AsyncQdrantClient

from lookalike.adapter.engines.embedded import EmbeddedEngine

Engine: TypeAlias = AsyncQdrantClient | EmbeddedEngine
