"""The README's commands, run as printed against a running service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.live import LiveServer
from tests.waiting import PATIENCE_SECONDS

README = (Path(__file__).parents[2] / "README.md").read_text()
ADDRESS = "127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run(command: list[str], script: str, server: LiveServer) -> str:
    result = subprocess.run(
        [*command, script.replace(ADDRESS, f"127.0.0.1:{server.port}")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_shell_and_python_examples_work_as_printed(server: LiveServer) -> None:
    create, search = blocks("sh")
    (python,) = blocks("python")
    output = run(["bash", "-ec"], f'{create}\necho "$COLLECTION"\n{search}', server)
    collection, answers = output.split("\n", 1)
    decoder = json.JSONDecoder()
    inserted, end = decoder.raw_decode(answers)
    found, _ = decoder.raw_decode(answers[end:].lstrip())
    assert inserted["status"]["code"] == 210
    assert found["answer_records"] == [{"_id": "red", "price": 12.5}]
    printed = run([sys.executable, "-c"], f"COLLECTION = {collection!r}\n{python}", server)
    assert "'answer_records': [{'_id': 'red'}, {'_id': 'green'}]" in printed


def test_the_two_commands_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert {"run:", "test:"} <= {line.split()[0] for line in makefile.splitlines() if line.strip()}
