"""A small collection costs little memory, and loses nothing by that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker.residency import release_pages

DIMENSION = 1280


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and calls madvise")
def test_pages_that_are_let_go_come_back_when_they_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.mkdir()
    params = edge.EdgeVectorParams(size=DIMENSION, distance=edge.Distance.Cosine)
    shard = edge.EdgeShard.create(str(path), edge.EdgeConfig(vectors={"v": params}))
    vectors = [[float(n == i) for i in range(DIMENSION)] for n in range(45)]
    points = [edge.Point(n, {"v": vector}, {"n": n}) for n, vector in enumerate(vectors)]
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()
    shard = edge.EdgeShard.load(str(path))
    # Written and not flushed, so that what is let go is newer than the file.
    shard.update(edge.UpdateOperation.set_payload([3], {"n": "changed"}))
    before = resident_bytes()
    release_pages(path)
    assert resident_bytes() < before - 20_000_000
    found: list[Any] = shard.retrieve(list(range(45)), True, True)
    assert [point.payload["n"] for point in found] == [0, 1, 2, "changed", *range(4, 45)]
    assert [point.vector["v"] for point in found] == vectors
    shard.close()
    shard = edge.EdgeShard.load(str(path))
    assert shard.retrieve([3], True, False)[0].payload == {"n": "changed"}
    shard.close()
