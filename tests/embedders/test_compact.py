"""384 numbers of the bundled network: nearly as good, the same on every machine, kept once made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import Way, leave_one_out
from lookalike.cli.demo_images import DemoImage
from lookalike.embedders import compact, lite0
from lookalike.embedders.protocol import Vectors


@pytest.fixture(scope="module")
def embedder(cache_folder: Path) -> compact.Compact:
    return compact.load(cache_folder)


def test_nearly_as_good(
    products: list[DemoImage], network: lite0.Lite0, embedder: compact.Compact
) -> None:
    ask = leave_one_out([p.image for p in products], [p.category for p in products])
    whole, short = (ask(Way(e.name, 224, "cosine", e.embed_images)) for e in (network, embedder))
    for part in ("first", "of_five", "average_precision"):
        before, after = getattr(whole, part).mean(), getattr(short, part).mean()
        print(f"\n{part}: 1280 numbers {before:.3f}, 384 {after:.3f}", end="")
        assert after > before - 0.02
    print()


def test_the_directions_are_those_of_the_classifier(cache_folder: Path) -> None:
    directions = compact.classifier_directions()
    assert directions.shape == (1280, 384)
    np.testing.assert_allclose(directions.T @ directions, np.eye(384), atol=1e-5)
    # By another algorithm, which leaves the signs to chance as well: eigenvectors of the squares.
    classifier = np.asarray(lite0.read_weights()["_fc.weight"], np.float64)
    centred = classifier - classifier.mean(axis=0)
    other = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :384]
    cosines = np.abs((directions * other).sum(axis=0))
    np.testing.assert_allclose(cosines, 1, atol=1e-5)
    assert (directions[np.abs(directions).argmax(axis=0), np.arange(384)] > 0).all()


def test_they_are_computed_once_and_again_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []

    def compute() -> Vectors:
        computed.append(1)
        return np.eye(1280, 384, dtype=np.float32)

    monkeypatch.setattr(compact, "classifier_directions", compute)
    for _ in range(2):
        compact.load(tmp_path)
    assert len(computed) == 1
    (file,) = tmp_path.glob("*.npy")
    whole = file.read_bytes()
    for damaged in (b"", whole[:1000], b"nonsense"):
        file.write_bytes(damaged)
        compact.load(tmp_path)
        assert file.read_bytes() == whole
    assert len(computed) == 4
