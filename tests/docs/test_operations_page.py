"""docs/operations.md: what is marked to be run is run, in order, as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.server.rest import RestServer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
BLOCK = re.compile(r"<!-- run -->\n```bash\n(.*?)```", re.DOTALL)


def test_the_examples_run(tmp_path: Path) -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")}
    environment = inherited | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LOOKALIKE_DATA": str(tmp_path / "data"),
    }
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) >= 4
    with RestServer() as qdrant:
        script = "\n".join(["set -eux", *blocks])
        script = script.replace("http://127.0.0.1:6333", qdrant.url)
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "have no picture" in done.stdout
    assert "Collection " in done.stdout
    assert '"replication_factor": 2' in done.stdout


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((\.\./[^)#]+)", PAGE.read_text()))))
def test_links_into_the_repository_lead_somewhere(target: str) -> None:
    assert (PAGE.parent / target).resolve().exists()
