"""No file is longer than one sitting, and no room holds more than a quarter of the lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 400
LARGEST_SHARE = 0.25
# Markdown is read by headings, and may be longer.
SUFFIXES = frozenset({".css", ".html", ".js", ".py", ".sh"})


def test_no_file_is_longer_than_one_sitting() -> None:
    lines = {path: count_lines(path) for path in files("lookalike", "benchmarks", "tests")}
    too_long = {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > MOST_LINES}
    assert too_long == {}


def test_no_room_holds_more_than_a_quarter_of_the_lines() -> None:
    rooms: Counter[str] = Counter()
    for path in files("lookalike"):
        rooms[room(path)] += count_lines(path)
    shares = {name: lines / rooms.total() for name, lines in rooms.items()}
    assert {name: share for name, share in shares.items() if share > LARGEST_SHARE} == {}


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SUFFIXES and path.is_file():
                yield path


def count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def room(path: Path) -> str:
    """`adapter/search` for `lookalike/adapter/search/hybrid.py`, `api` for `lookalike/api/app.py`.

    The packages of the adapter are rooms of their own.
    """
    folders = path.relative_to(ROOT / "lookalike").parts[:-1]
    return "/".join(folders[: 2 if folders[:1] == ("adapter",) else 1])
