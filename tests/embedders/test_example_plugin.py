"""The example plug-in: installed by pip as any package, found by the service, used end to end."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lookalike.embedders.testing import check_embedder
from tests.live import live_server
from tests.service import Service

SOURCE = Path(__file__).parents[1] / "example_plugin"
NAME = "grid-colours"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the plug-in is installed, and nothing else."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(SOURCE, source)
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)],
        check=True,
    )
    return target


@pytest.fixture(scope="module")
def shop(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    with live_server(tmp_path_factory.mktemp("data"), {"PYTHONPATH": paths}) as running:
        client = Service(running.url)
        yield client
        client.close()


def test_it_keeps_the_contract(site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(site)
    import lookalike_grid_colours  # type: ignore[import-not-found]

    check_embedder(lookalike_grid_colours.load, NAME, tmp_path)
    imported = (site / "lookalike_grid_colours" / "__init__.py").read_text()
    assert "import lookalike" not in imported


def test_a_collection_of_it(shop: Service) -> None:
    collection = shop.collection(embedder=NAME)
    colours = ["red", "crimson", "navy", "white"]
    records = [{"_id": colour, "_base64": image(colour)} for colour in colours]
    assert shop.answer("insert", collection, {"records": records})["status"]["code"] == 210
    body = {"query_record": {"_base64": image("darkred")}, "k": 3}
    found = shop.answer("visualKNN", collection, body)
    assert [record["_id"] for record in found["answer_records"]] == ["crimson", "red", "navy"]


def image(colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
