"""One network for all that build on it, as long as anybody does."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.embedders import compact, lite0, product, sessions
from lookalike.embedders.shared_networks import shared


class Model:
    pass


def test_loaded_once_for_each_folder_while_in_use(tmp_path: Path) -> None:
    loaded: list[Path] = []

    @shared
    def load(cache_folder: Path) -> Model:
        """How it is loaded."""
        loaded.append(cache_folder)
        return Model()

    first = load(tmp_path)
    assert load(tmp_path) is first
    other = load(tmp_path / "other")
    assert other is not first
    assert loaded == [tmp_path, tmp_path / "other"]
    del first
    gc.collect()
    load(tmp_path)
    assert len(loaded) == 3
    assert load.__doc__ == "How it is loaded."


def test_what_fails_is_tried_again(tmp_path: Path) -> None:
    answers: list[Any] = [OSError("busy"), Model()]

    @shared
    def load(cache_folder: Path) -> Model:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        model: Model = answer
        return model

    with pytest.raises(OSError, match="busy"):
        load(tmp_path)
    assert isinstance(load(tmp_path), Model)


def test_the_bundled_embedders_have_one_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def counted(model: Path | bytes) -> Any:
        opened.append(model)
        return sessions.open_session(model)

    monkeypatch.setattr(lite0, "open_session", counted)
    embedders = [module.load(tmp_path) for module in (product, compact, lite0)]
    assert len(opened) == 1
    image = Image.new("RGB", (300, 200), "teal")
    for embedder in embedders:
        (vector,) = embedder.embed_images([image])
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-5)
