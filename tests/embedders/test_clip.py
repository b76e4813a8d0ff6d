"""The CLIP family: a small model with random weights, by the same way as a large one."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.random_clip import TINY, save_clip
from lookalike.embedders import clip
from lookalike.embedders.batching import BatchedEmbedder
from lookalike.embedders.embedder_errors import EmbedderBroken
from lookalike.embedders.registry import Registry
from tests.embedders import clip_folders
from tests.file_server import FileServer
from tests.live import live_server
from tests.service import Service

NO_TORCH = "PyTorch or sentence-transformers is not installed (extra `clip`)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason=NO_TORCH)
    pytest.importorskip("sentence_transformers", reason=NO_TORCH)
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def model(folder: Path) -> clip.ClipWithText:
    loaded = clip.load(folder, model=str(folder), device="cpu", precision="float32")
    assert isinstance(loaded, clip.ClipWithText)
    return loaded


def reference(folder: Path) -> Any:
    """The model by transformers alone, as its authors would use it."""
    from transformers import CLIPModel, CLIPProcessor

    return CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)


def drawn(seed: int, width: int = 80, height: int = 60) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(noise)


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "publish",
    [
        clip_folders.saved_by_transformers,
        clip_folders.published_for_transformers,
        clip_folders.saved_by_sentence_transformers,
        clip_folders.published_for_sentence_transformers,
    ],
)
def test_images_and_words_as_transformers_alone_embeds_them(
    folder: Path, tmp_path: Path, publish: Callable[[Path], Path]
) -> None:
    import torch

    network, processor = reference(publish(tmp_path))
    model = clip.load(tmp_path, model=str(tmp_path), device="cpu", precision="float32")
    assert isinstance(model, clip.ClipWithText)
    images = [drawn(seed, width) for seed, width in enumerate((32, 80, 300))]
    texts = ["a red thing", "thing red a", "red " * 200]
    pixels = processor(images=images, return_tensors="pt")
    tokens = processor(text=texts, return_tensors="pt", padding=True, truncation=True)
    with torch.inference_mode():
        seen = network.get_image_features(**pixels).pooler_output.numpy()
        said = network.get_text_features(**tokens).pooler_output.numpy()
    vectors = model.embed_images(images)
    assert (vectors.dtype, vectors.shape) == (np.dtype(np.float32), (3, TINY.dimension))
    np.testing.assert_allclose(vectors, unit(seen), atol=1e-5)
    np.testing.assert_allclose(model.embed_texts(texts), unit(said), atol=1e-5)


def test_texts_of_all_kinds(model: clip.ClipWithText) -> None:
    strange = model.embed_texts(["", "日本", "half a pair \ud800"])
    assert np.isfinite(strange).all()


def test_a_text_is_a_text_whatever_it_looks_like(
    model: clip.ClipWithText, file_server: FileServer, tmp_path: Path
) -> None:
    """The library fetches strings that are URLs, and opens those that are paths of images."""
    path = tmp_path / "picture.png"
    drawn(1).save(path)
    url = file_server.add("/picture.png", path.read_bytes())
    (image,) = model.embed_images([drawn(1)])
    for text in (str(path), url, "data:image/png;base64,AAAA"):
        (vector,) = model.embed_texts([text])
        assert float(vector @ image) < 0.99


def test_what_it_says_of_itself(model: clip.ClipWithText) -> None:
    assert (model.name, model.dimension, model.distance) == ("clip", TINY.dimension, "cosine")
    assert model.image_px == TINY.image_px
    assert model.embed_images([]).shape == (0, TINY.dimension)
    assert model.embed_texts([]).shape == (0, TINY.dimension)


def test_half_precision_moves_vectors_a_little_and_the_revision_altogether(
    model: clip.ClipWithText, folder: Path
) -> None:
    half = clip.load(folder, model=str(folder), device="cpu", precision="bfloat16")
    assert half.revision != model.revision
    images = [drawn(seed) for seed in range(8)]
    exact, rounded = model.embed_images(images), half.embed_images(images)
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-5)
    assert (exact * rounded).sum(1).min() > 0.99


def test_other_weights_are_another_revision(model: clip.ClipWithText, tmp_path: Path) -> None:
    other = save_clip(tmp_path, seed=1)
    loaded = clip.load(tmp_path, model=str(other), device="cpu", precision="float32")
    assert loaded.revision != model.revision
    again = clip.load(tmp_path, model=str(other), device="cpu", precision="float32")
    assert loaded.revision == again.revision


def test_the_model_chooses_device_and_precision_itself(folder: Path) -> None:
    import torch

    loaded = clip.load(folder, model=str(folder))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert isinstance(loaded, clip.Clip)
    assert loaded._model.device.type == device
    assert loaded.embed_images([drawn(1)]).shape == (1, TINY.dimension)
    assert torch.get_num_threads() == 1


def test_a_model_without_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sentence_transformers

    kinds = sentence_transformers.SentenceTransformer
    monkeypatch.setattr(kinds, "modalities", property(lambda _: ["image"]))
    loaded = clip.load(folder, model=str(folder), device="cpu")
    assert not BatchedEmbedder(loaded).has_text
    monkeypatch.setattr(kinds, "modalities", property(lambda _: ["text"]))
    with pytest.raises(EmbedderBroken, match="knows text, and no images"):
        clip.load(folder, model=str(folder), device="cpu")


class TestFailures:
    def test_no_model_named(self, tmp_path: Path) -> None:
        with pytest.raises(EmbedderBroken, match=r"needs LOOKALIKE_CLIP_MODEL: a model's folder"):
            clip.load(tmp_path)

    @pytest.mark.parametrize("lacking", ["torch", "sentence_transformers", "huggingface_hub"])
    def test_without_the_extra(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
    ) -> None:
        monkeypatch.setitem(sys.modules, lacking, None)
        model = "clip-ViT-B-32" if lacking == "huggingface_hub" else str(folder)
        with pytest.raises(EmbedderBroken, match=r"pip install 'lookalike\[clip\]'"):
            clip.load(tmp_path, model=model)

    @pytest.mark.parametrize("damaged", ["model.safetensors", "config.json", "tokenizer.json"])
    def test_a_damaged_model(self, folder: Path, tmp_path: Path, damaged: str) -> None:
        for file in folder.iterdir():
            data = file.read_bytes()
            (tmp_path / file.name).write_bytes(data[:100] if file.name == damaged else data)
        with pytest.raises(EmbedderBroken, match=f"the model in {tmp_path} cannot be loaded"):
            clip.load(tmp_path, model=str(tmp_path), device="cpu")

    def test_a_model_with_code_of_its_own(self, folder: Path, tmp_path: Path) -> None:
        """The libraries would fill the network that its configuration names with random numbers."""
        clip_folders.with_code_of_its_own(tmp_path)
        with pytest.raises(EmbedderBroken, match=r"tensors of the network .* code of its own"):
            clip.load(tmp_path, model=str(tmp_path), device="cpu")
        assert not (tmp_path / "was run").exists()

    def test_a_device_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(EmbedderBroken, match="cannot be loaded on cuda:9"):
            clip.load(folder, model=str(folder), device="cuda:9")


def test_nothing_of_it_is_imported_until_it_is_asked_for(tmp_path: Path) -> None:
    code = (
        "import asyncio, json, sys\nfrom pathlib import Path\n"
        "import lookalike.api.app, lookalike.embedders.clip\n"
        "from lookalike.embedders.registry import Registry\n"
        f"asyncio.run(Registry(Path({str(tmp_path)!r})).get('lite0'))\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    assert not {"torch", "transformers", "sentence_transformers", "huggingface_hub"} & set(
        json.loads(out)
    )


async def test_the_registry_passes_the_options_on(folder: Path) -> None:
    registry = Registry(folder, options={"clip": {"model": str(folder), "device": "cpu"}})
    embedder = await registry.get("clip")
    assert embedder.has_text
    vector = await embedder.embed_text("red")
    assert vector.shape == (TINY.dimension,)
    await registry.close()


@pytest.fixture(scope="module")
def http(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that has a CLIP beside its default embedder."""
    environment = {"LOOKALIKE_CLIP_MODEL": str(folder), "LOOKALIKE_CLIP_PRECISION": "float32"}
    with (
        live_server(tmp_path_factory.mktemp("data"), environment) as running,
        httpx.Client(base_url=running.url, trust_env=False, timeout=240) as client,
    ):
        yield client


def test_text_search_end_to_end(http: httpx.Client, model: clip.ClipWithText) -> None:
    """A text finds the images that the model says, and in its order."""
    made = http.post(
        "/similarity/v2/collection/", json={"name": "words", "type": "photos", "embedder": "clip"}
    )
    assert (made.status_code, made.json()["embedder"]) == (201, "clip")
    headers = {"collection-id": made.json()["id"]}
    images = [drawn(seed) for seed in range(9)]
    records = [{"_id": str(number), "_base64": _png(image)} for number, image in enumerate(images)]
    url = "/similarity/photos/v2/"
    inserted = http.post(url + "insert", headers=headers, json={"records": records})
    assert inserted.json()["status"]["code"] == 210
    for text in ("a red thing", "/etc/passwd", "http://127.0.0.1:9/picture.png"):
        body = {"query_record": {"_text_data": text}, "k": 3}
        answer = http.post(url + "text", headers=headers, json=body).json()
        similarity = model.embed_images(images) @ model.embed_texts([text])[0]
        expected = np.argsort(-similarity)[:3]
        assert [r["_id"] for r in answer["answer_records"]] == [str(n) for n in expected]
        np.testing.assert_allclose(answer["answer_distances"], 1 - similarity[expected], atol=2e-3)


def test_a_service_without_the_weights_says_so_at_once(service: Service) -> None:
    body = {"name": "no weights", "type": "photos", "embedder": "clip"}
    answer = service.http.post("/similarity/v2/collection/", json=body)
    assert answer.status_code >= 400
    assert "LOOKALIKE_CLIP_MODEL" in answer.text
    assert answer.elapsed.total_seconds() < 30


def _png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
