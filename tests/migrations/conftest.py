"""The engines of the behaviour suite, for whatever moves collections."""

from __future__ import annotations

from tests.engines.contract.conftest import (
    collection,
    collection_cache,
    collection_of,
    engine,
    subject,
    writer,
)

__all__ = ["collection", "collection_cache", "collection_of", "engine", "subject", "writer"]
