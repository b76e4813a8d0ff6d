"""CLIP on the CPU: PyTorch float32 and bfloat16, ONNX float32 and int8, at the size of ViT-B/32.

Random weights: as fast as trained ones. One thread each, one run, so that the ratios hold where
the machine is shared; the cosine is to PyTorch in float32. Goal: 2.5 times as fast at 0.99.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.labelled_images import rooms
from benchmarks.quality import decoded
from benchmarks.random_clip import VIT_B_32, save_clip
from lookalike.embedders import clip

IMAGES = 24


def main() -> None:
    if find_spec("torch") is None:
        print("without PyTorch: pip install 'lookalike[clip]'")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = save_clip(folder / "model", VIT_B_32)
        images = decoded(rooms()[:IMAGES], 224)
        forms = list(_forms(folder, str(model)))
        expected: Any = None
        print(f"{'':18}  {'ms a picture':>12}  {'times as fast':>13}  mean cosine")
        base_ms = 0.0
        for form, load in forms:
            embedder = load()
            vectors, each_ms = measured(embedder, images)
            if expected is None:
                expected, base_ms = vectors, each_ms
            cosine = float((vectors * expected).sum(1).mean())
            print(f"{form:18}  {each_ms:12.1f}  {base_ms / each_ms:13.2f}  {cosine:.5f}")


def _forms(folder: Path, model: str) -> Any:
    from lookalike.embedders.onnx_export import export_tower

    empty, cache = folder / "empty", folder / "cache"
    for precision in ("float32", "int8"):
        export_tower(cache, decoded(rooms()[:2], 224), model=model, precision=precision)

    def form(where: Path, precision: Any) -> Callable[[], Any]:
        return lambda: clip.load(where, model=model, device="cpu", precision=precision)

    yield "torch float32", form(empty, "float32")
    yield "torch bfloat16", form(empty, "bfloat16")
    yield "ONNX float32", form(cache, "float32")
    yield "ONNX int8", form(cache, "int8")


def measured(embedder: Any, images: list[Any]) -> tuple[Any, float]:
    """Vectors, and CPU milliseconds an image: waiting for a shared machine does not count."""
    size = embedder.batch_size
    embedder.embed_images(images[:size])
    begins, started = range(0, len(images), size), time.process_time()
    rows = [embedder.embed_images(images[begin : begin + size]) for begin in begins]
    return np.concatenate(rows), (time.process_time() - started) / len(images) * 1000
