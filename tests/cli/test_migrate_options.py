"""`lookalike migrate up`: how many records may be left out, and what is said of the rest."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from lookalike.cli.migrate import NO_NUMBER, SkipType, describe_overlap, percent
from lookalike.migrations.reembedding import Overlap, Skip
from tests.contract.images import image_of
from tests.file_server import FileServer
from tests.live import LiveServer, lookalike
from tests.service import Service

COUNT = 12


@pytest.mark.parametrize(
    ("value", "skip", "most_of_200"),
    [
        (NO_NUMBER, Skip(share=0.01), 2),
        ("37", Skip(records=37), 37),
        ("0", Skip(), 0),
        ("5%", Skip(share=0.05), 10),
        ("0.5%", Skip(share=0.005), 1),
        ("100%", Skip(share=1.0), 200),
    ],
)
def test_a_number_or_a_share_may_be_left_out(value: str, skip: Skip, most_of_200: int) -> None:
    assert SkipType().convert(value, None, None) == skip
    assert skip.most(200) == pytest.approx(most_of_200)


@pytest.mark.parametrize("value", ["101%", "-1", "many", "1.5", "", "3f0c0c9e-8d3c-4c0e-9a53"])
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter, match="neither a number of records"):
        SkipType().convert(value, None, None)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.0001, "less than 1 %"),
        (0.5, "50 %"),
        (0.996, "more than 99 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_neither_all_nor_nothing_unless_it_is(share: float, text: str) -> None:
    assert percent(share) == text


def test_nothing_measured_is_no_share() -> None:
    assert "%" not in describe_overlap(Overlap(0, None))
    assert describe_overlap(Overlap(0, None)).startswith("nothing was measured")
    assert describe_overlap(Overlap(7, 1.0)) == (
        "100 % of the nearest ten are the same, of 7 records looked at"
    )


def test_what_cannot_be_read_stops_the_switch_with_one_line(
    server: LiveServer, service: Service, file_server: FileServer, tmp_path: Path
) -> None:
    collection = service.collection(type="colors")

    def migrate(*options: str) -> Any:
        command = ("migrate", "up", collection, "--embedder", "phash", *options)
        environment = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1"}
        data = ("--data", str(server.data))
        return lookalike(*command, *data, environment=environment, folder=tmp_path)

    service.load(collection, [{"_id": str(n), "_base64": image_of(n)} for n in range(COUNT)])
    stopped = migrate("--skip-unreadable", "100%")
    assert stopped.returncode == 1
    (line,) = stopped.stderr.splitlines()
    assert "No record has a vector of the new embedder" in line
    assert "Nothing is switched" in line
    assert service.view(collection)["embedder"] == "colors"
    refused = lookalike("migrate", "switch", collection, "--data", str(server.data))
    assert refused.returncode == 1, "an empty vector is not complete"
    body = {"query_record": {"_id": "3"}, "k": 1}
    assert service.answer("visualKNN", collection, body)["answer_records"] == [{"_id": "3"}]

    urls = [file_server.add(f"/{collection}/{n}.png", _bytes(n)) for n in range(COUNT)]
    given = tmp_path / "given.jsonl"
    lines = [msgspec.json.encode({"_id": str(n), "_url": urls[n]}) for n in range(COUNT - 3)]
    given.write_bytes(b"\n".join(lines))
    for options in ((), ("--skip-unreadable",), ("--skip-unreadable", "2")):
        stopped = migrate("--records", str(given), *options)
        assert stopped.returncode == 1
        (line,) = stopped.stderr.splitlines()
        assert f"3 of {COUNT} records cannot be read" in line
        assert line.endswith("--skip-unreadable 3")
    done = migrate("--records", str(given), "--skip-unreadable", "3")
    assert done.returncode == 0, done.stderr
    assert f"of {COUNT - 3} records looked at" in done.stdout
    assert service.view(collection)["embedder"] == "phash"
    left = migrate("--records", str(given))
    assert left.returncode == 1, "those that were left out are still without a vector"


def _bytes(number: int) -> bytes:
    return base64.b64decode(image_of(number))
