"""What `lookalike serve` says when it starts, and when it cannot."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.contract.processes import listens
from tests.live import LiveServer, free_port, lookalike
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
FAULTS = [
    ("PORT", "http"),
    ("TOKENS", "secret:everything"),
    ("TOKENS_FILE", "binary"),
    ("EMBEDDER", "lite1"),
    ("QDRANT_URL", "http://secret@host:port"),
    ("DATA", "file"),
    ("DATA", "file/below"),
    ("DATA", "/proc/lookalike"),
    ("HOST", "127.0.0.300"),
]
"""Each is found at another place; what else `check_settings` refuses is in `tests/api`."""


@pytest.mark.parametrize(("setting", "value"), FAULTS)
def test_a_setting_of_no_use_ends_the_start_with_one_line(
    setting: str, value: str, tmp_path: Path
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    environment = {"LOOKALIKE_PORT": "0", f"LOOKALIKE_{setting}": value}
    if setting == "HOST":
        environment["LOOKALIKE_TOKENS"] = "x"
    refused = lookalike("serve", environment=environment, folder=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"Error: LOOKALIKE_{setting}")
    assert len(refused.stderr.splitlines()) == 1
    assert "secret" not in refused.stderr
    assert "listens" not in refused.stdout
    assert sorted(tmp_path.iterdir()) == before, "nothing was started"


def line_with(server: LiveServer, text: str) -> str:
    """The first line of its output that has the text, waited for."""
    assert server.process is not None
    assert server.process.stdout is not None
    lines = (line.decode() for line in server.process.stdout)
    return next(line for line in lines if text in line)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_says_where_it_listens_once_it_does(workers: str, tmp_path: Path) -> None:
    server = LiveServer(tmp_path / "data")
    server.port = 0
    server.launch("--workers", workers)
    try:
        said = re.search(r"http://127\.0\.0\.1:(\d+)$", line_with(server, "listens on"))
        assert said
        server.port = int(said[1])
        assert listens(server.port), "as soon as it is said"
        server.wait_ready()
    finally:
        output = server.stop()
    assert "Traceback" not in output


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_that_cannot_be_loaded_ends_the_start(workers: str, tmp_path: Path) -> None:
    ended = lookalike(
        *("serve", "--port", str(free_port()), "--workers", workers, "--data", "data"),
        environment={"LOOKALIKE_EMBEDDER": "clip", "LOOKALIKE_CLIP_MODEL": "/no/model"},
        folder=tmp_path,
    )
    assert ended.returncode == 3
    lines = set(ended.stderr.splitlines())
    text = "LOOKALIKE_CLIP_MODEL: there is no folder /no/model"
    assert lines == {f"an embedder of new collections cannot be loaded: {text}"}
    assert not (tmp_path / "data" / "engine.json").exists(), "the engine was stopped in order"


def test_a_server_of_embeddings_that_is_away_is_waited_for_and_named(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    environment = {"LOOKALIKE_EMBEDDER": "remote", "LOOKALIKE_REMOTE_URL": away}
    server = LiveServer(tmp_path / "data", environment)

    def named() -> bool:
        report = httpx.get(f"{server.url}/readyz", trust_env=False)
        assert report.status_code == 503
        return "waiting: LOOKALIKE_REMOTE_URL: the server does" in report.json()["embedder"]

    server.launch()
    try:
        line_with(server, "listens on")
        wait_until(named, "the report says what is waited for")
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("arguments", "there"),
    [
        (("collections", "list"), False),
        (("export", "x", "export.jsonl"), False),
        (("migrate", "status"), True),
    ],
)
def test_what_only_reads_makes_no_data_folder(
    arguments: tuple[str, ...], there: bool, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    if there:
        data.mkdir()
    refused = lookalike(*arguments, "--data", str(data), folder=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == f"Error: LOOKALIKE_DATA: no service has stored anything in {data}\n"
    assert list(tmp_path.rglob("*")) == ([data] if there else [])


def test_an_old_python_is_refused_by_make(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo Python 3.9.18; exit; fi\n'
        'if [ "$1" = -c ]; then exit 1; fi\n'
    )
    old.chmod(0o755)
    made = subprocess.run(
        ["make", "--silent", "-f", str(ROOT / "Makefile"), f"PYTHON={old}", ".venv/bin/python"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode != 0
    line = "Python 3.9.18 is too old: name a Python from 3.11 on, such as make PYTHON=python3.12"
    assert made.stderr.splitlines()[0] == line


def test_looking_at_an_embedder_makes_no_data_folder(tmp_path: Path) -> None:
    checked = lookalike(
        "embedders", "bench", "lite0", "--pictures", "1", "--data", "data", folder=tmp_path
    )
    assert checked.returncode == 0
    assert list(tmp_path.iterdir()) == []
