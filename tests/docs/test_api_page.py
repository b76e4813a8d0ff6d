"""docs/api.md: every request on it is sent, and has the answer that it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from lookalike.api.request_paths import ALIASES, METHODS
from tests.live import live_server, lookalike
from tests.waiting import PATIENCE_SECONDS

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(
    r"^```http\n(?P<verb>[A-Z]+) (?P<path>\S+)\n(?P<body>.*?)```\n\n"
    r"```json ?(?P<status>\d*)\n(?P<answer>.*?)```$",
    re.MULTILINE | re.DOTALL,
)
ANY = "…"
TOLERANCE = 2e-3
"""Of numbers: networks are computed a little differently on every processor."""


class Example(NamedTuple):
    verb: str
    path: str
    body: str
    status: int
    answer: str


def examples(page: str) -> list[Example]:
    return [
        Example(
            found["verb"],
            found["path"],
            found["body"].strip(),
            int(found["status"] or 200),
            found["answer"].strip(),
        )
        for found in EXAMPLE.finditer(page)
    ]


class Reader:
    """Does what the page says, from the first example to the last."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS)
        listed = self.http.get("/similarity/v2/collection/").json()
        self.demo: str = listed["results"][0]["id"]
        self.shop = ""

    def send(self, example: Example) -> httpx.Response:
        response = self.http.request(
            example.verb,
            example.path.replace("$SHOP", self.shop),
            content=example.body.encode(),
            headers={"collection-id": self.demo},
        )
        if response.status_code == 201:
            self.shop = response.json()["id"]
        return response


def differences(expected: Any, found: Any, place: str = "$") -> list[str]:
    """Where an answer is not as shown. `…` stands for anything, at the end of a list for more."""
    if expected == ANY or place.endswith(".OperationTime"):
        return []
    if isinstance(expected, dict) and isinstance(found, dict):
        if set(expected) != set(found):
            return [f"{place}: {sorted(expected)} != {sorted(found)}"]
        return [d for k in expected for d in differences(expected[k], found[k], f"{place}.{k}")]
    if isinstance(expected, list) and isinstance(found, list):
        if expected and expected[-1] == ANY:
            expected, found = expected[:-1], found[: len(expected) - 1]
        if len(expected) != len(found):
            return [f"{place}: {len(expected)} != {len(found)}"]
        pairs = enumerate(zip(expected, found, strict=True))
        return [d for i, (e, f) in pairs for d in differences(e, f, f"{place}[{i}]")]
    numbers = isinstance(expected, float) and isinstance(found, float)
    if expected == found or (numbers and abs(expected - found) <= TOLERANCE):
        return []
    return [f"{place}: {expected!r} != {found!r}"]


@pytest.fixture(scope="module")
def reader(demo_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    data = tmp_path_factory.mktemp("demo") / "data"
    done = lookalike("demo", str(demo_wheel), "--data", str(data))
    assert done.returncode == 0, done.stderr
    with live_server(data) as running:
        client = Reader(running.url)
        yield client
        client.http.close()


def test_every_example_has_the_answer_that_is_shown(reader: Reader) -> None:
    wrong = []
    for example in examples(PAGE.read_text()):
        response = reader.send(example)
        found = response.json() if response.content else None
        expected = json.loads(example.answer) if example.answer else None
        differing = differences(expected, found)
        if response.status_code != example.status:
            differing.insert(0, f"HTTP {response.status_code} != {example.status}")
        if differing:
            wrong.append(f"{example.verb} {example.path} {example.body[:60]}: {differing}")
    assert not wrong, "\n".join(wrong)


def test_every_method_has_an_example() -> None:
    page = PAGE.read_text()
    shown = {re.sub(r"\?.*", "", example.path).partition("/v2/")[2] for example in examples(page)}
    assert shown >= METHODS
    assert all(alias in page for alias in ALIASES if not alias.startswith("approx"))
    # None is left out because its block is written in another way.
    assert len(examples(page)) == page.count("```http")


def test_differences_are_seen() -> None:
    shown = {"a": [1.0, {"b": "x"}], "c": ANY, "statistics": {"OperationTime": 1}}
    found = {"a": [1.001, {"b": "x"}], "c": 5, "statistics": {"OperationTime": 2}}
    assert not differences(shown, found)
    assert not differences({"a": [1, ANY]}, {"a": [1, 2, 3]})
    for other in ({"a": [1.1, {"b": "x"}]}, {"a": [1.0]}, {"a": [1.0, {"b": "y"}]}, {"d": 1}):
        assert differences(shown, {**found, **other})
