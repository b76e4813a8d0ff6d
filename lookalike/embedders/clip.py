"""Models of the CLIP family, by sentence-transformers: images and words in one space.

Any model that the library loads and that knows images will do: CLIP, SigLIP, DINOv2 (which knows
no words). PyTorch is imported when the embedder is first asked for, and comes with the extra `clip`
only: it needs half a gigabyte of memory and seconds to import.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookalike.embedders.embedder_errors import EmbedderBroken, EmbedderNotSetUp
from lookalike.embedders.embedder_settings import ClipPrecision, ClipSettings
from lookalike.embedders.exported import ExportedClip, ExportedClipWithText, file_name
from lookalike.embedders.images.decoding import DECODINGS
from lookalike.embedders.model_folder import find_folder, hash_folder
from lookalike.embedders.protocol import Distance, Vectors, fingerprint

NAME = "clip"
SETTING = "LOOKALIKE_CLIP_MODEL"
# Change it with anything that moves a vector and is not in the other parts of the revision.
PROCESSING = "sentence-transformers-1"

_DEFAULT_PX = 224
CPU_INFO = Path("/proc/cpuinfo")
NVIDIA = Path("/dev/nvidiactl")
# On a CPU 8 images are as fast as 32, and searches wait less; a GPU wants more at once.
_CPU_BATCH, _GPU_BATCH = 8, 64


class Clip:
    """Vectors of length 1; cosine distance. `model` is a `SentenceTransformer` in eval mode."""

    name = NAME
    distance: Distance = "cosine"

    def __init__(self, model: Any, revisions: Sequence[str]) -> None:
        """`revisions`: the present one, then former ones."""
        self._model = model
        self.revision, *self.former_revisions = revisions
        self.dimension: int = model.get_embedding_dimension()
        self.image_px = _image_px(model)
        self.batch_size = _CPU_BATCH if model.device.type == "cpu" else _GPU_BATCH

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """RGB images of any size -> float32 of shape (n, dimension), each row of length 1.

        Cut and scaled as the model's own processor says, which for CLIP keeps the middle square.
        """
        return self._encode(list(images))

    def close(self) -> None:
        """Frees the weights."""
        self._model = None

    def _encode(self, inputs: list[Any]) -> Vectors:
        if not inputs:
            return np.empty((0, self.dimension), np.float32)
        vectors = self._model.encode(
            inputs, batch_size=self.batch_size, show_progress_bar=False, convert_to_numpy=True
        )
        # Not by the model itself: in half precision the rows would have lengths of 0.999 to 1.001.
        vectors = np.asarray(vectors, np.float32)
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


class ClipWithText(Clip):
    """A model with a text tower too."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Any strings -> float32 of shape (n, dimension), each row of length 1.

        What the tokenizer has no room for (77 tokens for CLIP) is cut off.
        """
        # Never the bare string: `encode` would fetch one that is a URL, and open one that is the
        # path of an image. Half of a surrogate pair has no UTF-8, so it becomes a question mark.
        return self._encode([{"text": text.encode(errors="replace").decode()} for text in texts])


def load(cache_folder: Path, **options: Any) -> Clip | ExportedClip:
    """Loads a model of the CLIP family. Raises `EmbedderBroken`, within seconds.

    `options` are the fields of `ClipSettings`; exported towers are looked for in `cache_folder`. On
    a CPU, `precision` "auto" takes the fastest of what there is: an exported int8 tower, bfloat16,
    an exported float32 tower, float32.
    """
    settings = ClipSettings(**options)
    device, precision = settings.device, settings.precision
    if not settings.model:
        raise EmbedderNotSetUp(
            f"the embedder {NAME} needs {SETTING}: a model's folder, or its name on the Hugging "
            "Face hub such as clip-ViT-B-32"
        )
    folder = _find_model(settings.model, download=settings.download)
    weights = hash_folder(folder)
    if device == "cpu" or (device == "auto" and not _has_gpu()):
        if file := _exported(cache_folder, weights, precision):
            return _load_exported(file, folder)
    elif precision == "int8":
        raise EmbedderBroken(f"LOOKALIKE_CLIP_PRECISION: int8 is for CPUs, not for {device}")
    return _load_torch(folder, weights, device, precision)


def load_network(model: str, *, download: bool, device: str, precision: str) -> Any:
    """The `SentenceTransformer` itself, in eval mode. Raises as `load` does."""
    folder = _find_model(model, download=download)
    return _network(*_libraries(), folder, device, precision)


def _find_model(model: str, *, download: bool) -> Path:
    if not download:
        # Read when the hub's library is imported; every request would be repeated for a minute.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return find_folder(model, setting=SETTING, download=download)


def _exported(cache_folder: Path, weights: str, precision: ClipPrecision) -> Path | None:
    """The exported tower to use; None for PyTorch. Raises `EmbedderBroken` where int8 is wanted."""
    int8, float32 = (cache_folder / file_name(weights, p) for p in ("int8", "float32"))
    if precision in ("auto", "int8") and int8.exists():
        return int8
    if precision == "int8":
        raise EmbedderBroken(
            "LOOKALIKE_CLIP_PRECISION: there is no int8 tower of this model; make it with "
            "`lookalike embedders export --int8`"
        )
    if precision == "float32" or (precision == "auto" and not _fast_bfloat16()):
        return float32 if float32.exists() else None
    return None


def _load_exported(file: Path, folder: Path) -> ExportedClip:
    try:
        embedder = ExportedClip(file)
    except Exception as error:  # onnxruntime has a dozen unrelated classes for a damaged file
        raise EmbedderBroken(
            f"the exported tower {file} cannot be read; delete it or export it again: {error}"
        ) from error
    if not embedder.tower.has_text:
        return embedder
    weights = embedder.tower.weights
    return ExportedClipWithText(file, lambda: _load_torch(folder, weights, "cpu", "auto"))


def _load_torch(folder: Path, weights: str, device: str, precision: ClipPrecision) -> Clip:
    torch, transformer = _libraries()
    device = _device(torch) if device == "auto" else device
    if precision == "auto":
        precision = _precision(device)
    network = _network(torch, transformer, folder, device, precision)
    modalities = network.modalities
    if "image" not in modalities:
        raise EmbedderBroken(f"{SETTING}: {folder} knows {', '.join(modalities)}, and no images")
    parts = (PROCESSING, "torch", precision, network.get_embedding_dimension())
    revisions = [fingerprint(weights, decoding, *parts) for decoding in DECODINGS]
    return (ClipWithText if "text" in modalities else Clip)(network, revisions)


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError as error:
        raise EmbedderBroken(
            f"the embedder {NAME} needs PyTorch and sentence-transformers: "
            f"pip install 'lookalike[clip]' ({error})"
        ) from error
    logging.disable_progress_bar()
    return torch, SentenceTransformer


def _network(torch: Any, transformer: Any, folder: Path, device: str, precision: str) -> Any:
    if device == "cpu":
        # Threads that wait for one another on a busy machine make an image take seconds; more
        # processes (`serve --workers`) use more cores better.
        torch.set_num_threads(1)
    try:
        network = transformer(
            str(folder),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, precision)},
        )
        lacking = _lacking(network, folder)
    except Exception as error:  # OSError, ValueError, SafetensorError, RuntimeError of a device …
        raise EmbedderBroken(
            f"{SETTING}: the model in {folder} cannot be loaded on {device}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if lacking:
        raise EmbedderBroken(
            f"{SETTING}: {len(lacking)} tensors of the network that {folder} names are in none of "
            f"its files, such as {min(lacking)}. A model that needs code of its own cannot be "
            "used: none is ever run"
        )
    return network.eval()


def _lacking(network: Any, folder: Path) -> set[str]:
    """Names of weights that no file has.

    The libraries fill them with random numbers, others at every start, and go on. So it may be with
    models whose configuration names a network and whose weights are for code that they bring.
    """
    transformer: Any = getattr(network[0], "model", None)
    if not hasattr(transformer, "from_pretrained"):
        return set()
    modules = folder / "modules.json"
    part = json.loads(modules.read_text())[0]["path"] if modules.exists() else ""
    _, report = type(transformer).from_pretrained(
        folder / part,
        config=transformer.config,
        dtype=transformer.dtype,
        local_files_only=True,
        output_loading_info=True,
    )
    return set(report["missing_keys"])


def _device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _precision(device: str) -> ClipPrecision:
    """Half precision moves a vector by a cosine of 0.00005 and doubles the speed, or more."""
    if not device.startswith("cpu"):
        return "float16"
    return "bfloat16" if _fast_bfloat16() else "float32"


def _fast_bfloat16() -> bool:
    """Whether the CPU computes with it itself. Without PyTorch, which takes seconds to import."""
    with suppress(OSError):  # only Linux has the file
        return re.search(r"\b(avx512_bf16|amx_bf16)\b", CPU_INFO.read_text()) is not None
    return False


def _has_gpu() -> bool:
    """Whether PyTorch is worth asking for a GPU."""
    return sys.platform == "darwin" or NVIDIA.exists()


def _image_px(model: Any) -> int:
    """The side of the square that the model's processor makes; 224 if it does not say."""
    processor = getattr(model[0], "processor", None)
    processor = getattr(processor, "image_processor", processor)
    for attribute in ("crop_size", "size"):
        size = getattr(processor, attribute, None) or {}
        sides = [dict(size).get(side) for side in ("height", "width", "shortest_edge")]
        if known := [int(side) for side in sides if side]:
            return max(known)
    return _DEFAULT_PX
