"""The engines of the behaviour suite, for whatever moves collections."""

from __future__ import annotations

from tests.engine_suite.conftest import (
    catalogue,
    collection,
    collection_of,
    engine,
    subject,
    writer,
)

__all__ = ["catalogue", "collection", "collection_of", "engine", "subject", "writer"]
