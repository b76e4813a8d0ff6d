from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapter.filters.subjects import Engines, Subject

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

SUBJECTS = {
    "embedded": ("embedded", {}),
    "embedded-indexed": ("embedded", INDEXED),
    "embedded-swapped": ("embedded", SWAPPED),
    "local": ("local", {}),
}


@pytest.fixture(scope="package")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    running = Engines(tmp_path_factory.mktemp("filters"))
    yield running
    running.close()


@pytest.fixture(params=SUBJECTS, scope="module")
def subject(request: pytest.FixtureRequest, engines: Engines) -> Subject:
    """An empty collection on each engine, with and without payload indexes."""
    return engines.subject(*SUBJECTS[request.param])
