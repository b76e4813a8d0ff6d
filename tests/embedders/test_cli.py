"""`lookalike embedders`, as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lookalike.cli import main


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["embedders", *arguments])


def test_list_shows_all_and_why_some_cannot_be_loaded(data: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert {"clip", "colors", "lite0", "phash", "product", "remote"} <= set(lines)
    assert "1280  cosine" in lines["lite0"]
    assert "not available" in lines["remote"]
    assert "LOOKALIKE_CLIP_MODEL" in lines["clip"]
    assert list((data / "models").glob("lite0-*.onnx"))


def test_check(data: Path) -> None:
    result = run("check", "phash")
    assert result.exit_code == 0
    assert result.output.count("ok ") == 8
    result = run("check", "clip")
    assert result.exit_code == 1
    assert "FAILED" in result.output


def test_bench(data: Path) -> None:
    result = run("bench", "phash", "--pictures", "2")
    assert result.exit_code == 0
    assert "decoding:" in result.output
    assert "embedding, 16 at once:" in result.output


def test_an_unknown_name(data: Path) -> None:
    for command in ("check", "bench"):
        result = run(command, "nonsense")
        assert result.exit_code == 1
        assert "installed are: clip, colors, lite0" in result.output
