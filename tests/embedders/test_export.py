"""A CLIP's image tower as an ONNX file: the same vectors, without PyTorch, chosen when it is there.

How much faster it is at the size of real models: `python -m benchmarks embedding`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.random_clip import TINY, save_clip
from lookalike.cli import main
from lookalike.embedders import clip
from lookalike.embedders.embedder_errors import EmbedderBroken
from lookalike.embedders.exported import ExportedClip, ExportedClipWithText
from lookalike.embedders.testing import check_embedder, drawing

NO_TORCH = "PyTorch or sentence-transformers is not installed (extra `clip`)"
IMAGES = [drawing(seed, 200 + 31 * seed, 150 + 17 * seed) for seed in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason=NO_TORCH)
    pytest.importorskip("sentence_transformers", reason=NO_TORCH)
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def models(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with both exported forms."""
    from lookalike.embedders.onnx_export import export_tower

    cache = tmp_path_factory.mktemp("models")
    for precision in ("float32", "int8"):
        report = export_tower(cache, IMAGES, model=str(folder), precision=precision)
        print(f"\n{precision}: {report}")
        assert report.file.exists()
        assert report.agreement >= report.least >= (0.9999 if precision == "float32" else 0.99)
    assert len(list(cache.iterdir())) == 2
    return cache


def load(cache: Path, folder: Path, **options: Any) -> Any:
    return clip.load(cache, model=str(folder), **options)


def test_the_same_vectors_as_pytorch(models: Path, folder: Path, tmp_path: Path) -> None:
    original = load(tmp_path, folder, device="cpu", precision="float32")
    exported = load(models, folder, device="cpu", precision="float32")
    assert isinstance(exported, ExportedClipWithText)
    assert type(original) is clip.ClipWithText
    odd = [Image.new("RGB", size, "teal") for size in ((1, 1), (1, 300), (33, 1000))]
    for images in (IMAGES, odd):
        ours, theirs = exported.embed_images(images), original.embed_images(images)
        assert ours.dtype == np.float32
        assert ours.shape == (len(images), TINY.dimension)
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    texts = ["a red thing", "", "http://127.0.0.1:9/"]
    assert (exported.embed_texts(texts) * original.embed_texts(texts)).sum(1).min() > 0.99


def test_the_fastest_form_is_taken(
    models: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def form(cache: Path, **options: Any) -> str:
        embedder = load(cache, folder, **options)
        if isinstance(embedder, ExportedClip):
            return f"onnx {embedder.tower.precision}"
        return f"torch {str(next(embedder._model.parameters()).dtype).partition('.')[2]}"

    only_float = tmp_path / "float"
    only_float.mkdir()
    (float_file,) = models.glob("*float32*")
    (only_float / float_file.name).write_bytes(float_file.read_bytes())
    monkeypatch.setattr(clip, "NVIDIA", tmp_path / "nothing")
    for flags, plain, floats in (
        ("flags: avx512f avx512_bf16", "torch bfloat16", "torch bfloat16"),
        ("flags: avx512f", "torch float32", "onnx float32"),
    ):
        info = tmp_path / "cpuinfo"
        info.write_text(flags)
        monkeypatch.setattr(clip, "CPU_INFO", info)
        assert form(tmp_path) == plain
        assert form(only_float) == floats
        assert form(models) == "onnx int8"
    assert form(models, precision="float32") == "onnx float32"
    assert form(models, precision="bfloat16") == "torch bfloat16"


def test_every_form_has_its_own_revision(models: Path, folder: Path, tmp_path: Path) -> None:
    forms = [(models, "int8"), (models, "float32"), (tmp_path, "float32"), (tmp_path, "bfloat16")]
    revisions = [load(c, folder, device="cpu", precision=p).revision for c, p in forms]
    assert len(set(revisions)) == len(forms)


def test_int8_without_a_file_or_on_a_gpu(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbedderBroken, match="lookalike embedders export --int8"):
        load(tmp_path, folder, device="cpu", precision="int8")
    with pytest.raises(EmbedderBroken, match="int8 is for CPUs, not for cuda"):
        load(tmp_path, folder, device="cuda", precision="int8")


def test_a_damaged_file(models: Path, folder: Path, tmp_path: Path) -> None:
    (file,) = models.glob("*int8*")
    (tmp_path / file.name).write_bytes(file.read_bytes()[:1000])
    with pytest.raises(EmbedderBroken, match=r"int8\.onnx cannot be read; delete it or export"):
        load(tmp_path, folder, device="cpu")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_keeps_the_contract(models: Path, folder: Path, precision: str) -> None:
    check_embedder(
        lambda cache: load(cache, folder, device="cpu", precision=precision), "clip", models
    )


def test_images_need_no_pytorch(models: Path, folder: Path) -> None:
    code = (
        "import json, sys\nfrom pathlib import Path; from PIL import Image\n"
        "from lookalike.embedders.clip import load\n"
        f"model = load(Path({str(models)!r}), model={str(folder)!r}, device='cpu')\n"
        "model.embed_images([Image.new('RGB', (80, 60), 'red')])\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    assert not {"torch", "transformers", "onnx"} & set(json.loads(out))


def test_the_command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_CLIP_MODEL", str(folder))
    source = tmp_path / "photos"
    source.mkdir()
    for number, image in enumerate(IMAGES[:3]):
        image.save(source / f"{number}.jpg")
    (source / "notes.txt").write_text("no photo")
    arguments = ["embedders", "export", "--int8", "--photos", str(source), "--data", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "agreement on 3 photos" in result.output
    assert "times as fast" in result.output
    (file,) = (tmp_path / "models").glob("clip-*-int8.onnx")
    assert str(file) in result.output


def test_the_command_without_a_model(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["embedders", "export", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "LOOKALIKE_CLIP_MODEL" in result.output
