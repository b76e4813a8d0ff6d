"""Where a model's files are, and errors that come at once and say what to do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lookalike.embedders.embedder_errors import EmbedderBroken
from lookalike.embedders.model_folder import find_folder, hash_folder, model_files

SETTING = "LOOKALIKE_CLIP_MODEL"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def test_a_folder_is_found_as_it_is(folder: Path) -> None:
    assert find_folder(str(folder), setting=SETTING, download=False) == folder


@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        ("config.json", r"is no model; it lacks config\.json$"),
        ("model.safetensors", r"is no model; it lacks weights \(model\.safetensors\)$"),
    ],
)
def test_a_folder_that_is_no_model(folder: Path, lacking: str, says: str) -> None:
    (folder / lacking).unlink()
    with pytest.raises(EmbedderBroken, match=f"{SETTING}: the folder {folder} {says}"):
        find_folder(str(folder), setting=SETTING, download=False)


@pytest.mark.parametrize("model", ["/no/such/folder", "./folder", "a/b/c", "~/no-such-folder"])
def test_a_path_to_nothing(model: str) -> None:
    with pytest.raises(EmbedderBroken, match=f"{SETTING}: there is no folder {model}"):
        find_folder(model, setting=SETTING, download=True)


def test_a_name_that_is_not_on_this_machine() -> None:
    pytest.importorskip("huggingface_hub", reason="the extra `clip` is not installed")
    started = time.monotonic()
    with pytest.raises(EmbedderBroken) as caught:
        find_folder("clip-ViT-nonsense", setting=SETTING, download=False)
    assert time.monotonic() - started < 30  # the import of the library; the question takes no time
    text = caught.value.text
    assert "sentence-transformers/clip-ViT-nonsense is neither a folder nor a model" in text
    assert "hf download sentence-transformers/clip-ViT-nonsense --local-dir" in text


def test_a_hub_out_of_reach_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    started = time.monotonic()
    with pytest.raises(EmbedderBroken, match=r"127\.0\.0\.1:9 cannot be reached \(ConnectError\)"):
        find_folder("owner/model", setting=SETTING, download=True)
    assert time.monotonic() - started < 30  # the library itself would go on trying


def test_the_hash_knows_names_and_bytes_of_what_moves_a_vector(folder: Path) -> None:
    first = hash_folder(folder)
    (folder / "README.md").write_text("more words")
    assert hash_folder(folder) == first
    (folder / "tokenizer.json").write_text("{}")
    second = hash_folder(folder)
    (folder / "tokenizer.json").rename(folder / "vocab.json")
    third = hash_folder(folder)
    (folder / "model.safetensors").write_bytes(b"Weights")
    assert len({first, second, third, hash_folder(folder)}) == 4
    assert [path.name for path in model_files(folder)] == [
        "config.json",
        "model.safetensors",
        "vocab.json",
    ]
