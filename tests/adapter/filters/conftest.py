from __future__ import annotations

from collections.abc import Iterator

import pytest

from lookalike.adapter.engines.embedded.supervisor import Supervisor
from tests.adapter.filters.filter_engines import FilterEngine, FilterEngines

INDEXED = {
    "a": "keyword",
    "b": "number",
    "c": "keyword",
    "a.b": "number",
    "b.a": "keyword",
    "é x": "keyword",
    "a.é x": "number",
    "0": "number",
    "v": "keyword",
    "v.a": "number",
    "t": "keyword",
    "d.t": "keyword",
}
"""On mixed values, an index of either kind sees a part of them only."""

SWAPPED = {path: "number" if kind == "keyword" else "keyword" for path, kind in INDEXED.items()}

FILTER_ENGINES = {
    "embedded": ("embedded", {}),
    "embedded-indexed": ("embedded", INDEXED),
    "embedded-swapped": ("embedded", SWAPPED),
    "local": ("local", {}),
}


@pytest.fixture(scope="package")
def filter_engines(supervisor: Supervisor) -> Iterator[FilterEngines]:
    connected = FilterEngines(supervisor.socket_path)
    yield connected
    connected.close()


@pytest.fixture(params=FILTER_ENGINES, scope="module")
def filter_engine(request: pytest.FixtureRequest, filter_engines: FilterEngines) -> FilterEngine:
    """An empty collection on each engine, with and without payload indexes."""
    return filter_engines.create(*FILTER_ENGINES[request.param])
