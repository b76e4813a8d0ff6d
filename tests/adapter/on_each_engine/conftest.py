"""What the adapter promises holds on every engine."""

from __future__ import annotations

from tests.collection_fixtures import collection, collection_cache, collection_of, writer
from tests.engines.contract.subjects import run_on_each

__all__ = ["collection", "collection_cache", "collection_of", "writer"]

pytest_generate_tests = run_on_each
