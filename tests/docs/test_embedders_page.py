"""docs/embedders.md names every embedder that is installed with us, with what it says of itself."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

from lookalike.adapter.collections.defaults import EMBEDDERS
from lookalike.embedders.registry import GROUP

PAGE = Path(__file__).parents[2] / "docs" / "embedders.md"
ROW = re.compile(r"^\| `([\w-]+)` \| .* \| ([\w' ]+) \| (cosine|Manhattan) \| .* \|$", re.MULTILINE)


def test_every_embedder_has_its_row(tmp_path: Path) -> None:
    rows = {name: (numbers, distance) for name, numbers, distance in ROW.findall(PAGE.read_text())}
    points = [p for p in distribution("lookalike").entry_points if p.group == GROUP]
    assert rows.keys() == {point.name for point in points}
    for point in points:
        numbers, distance = rows[point.name]
        if numbers.isdigit():
            embedder = point.load()(tmp_path)
            assert (numbers, distance.lower()) == (str(embedder.dimension), embedder.distance)


def test_the_default_of_every_type_is_said() -> None:
    rows = {row[1]: row[0] for row in ROW.finditer(PAGE.read_text())}
    for type_, embedder in EMBEDDERS.items():
        _, said, types = rows[embedder].partition("default of ")
        assert said
        assert f"`{type_}`" in types
