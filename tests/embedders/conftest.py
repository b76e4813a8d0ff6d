"""Real images, and the bundled network, loaded once for all tests of the embedders."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from lookalike.embedders import lite0


@pytest.fixture(scope="session")
def interiors() -> dict[str, bytes]:
    """39 JPEG images of rooms, 1280 to 1920 pixels wide, by file name."""
    folder = files("interior_photos") / "images"
    rooms = sorted(folder.iterdir(), key=lambda room: room.name)
    return {room.name: room.read_bytes() for room in rooms}


@pytest.fixture(scope="session")
def network(cache_folder: Path) -> lite0.Lite0:
    return lite0.load(cache_folder)
