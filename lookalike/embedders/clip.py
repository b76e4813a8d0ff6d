"""Models of the CLIP family, by sentence-transformers: pictures and words in one space.

Any model that the library loads and that knows pictures will do: CLIP, SigLIP, DINOv2 (which knows
no words). PyTorch is imported when the embedder is first asked for, and comes with the extra `clip`
only: it needs half a gigabyte of memory and seconds to import.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from lookalike.embedders.base import Distance, Vectors, fingerprint
from lookalike.embedders.errors import EmbedderBroken
from lookalike.embedders.images.decode import DECODING
from lookalike.embedders.model_folder import find_folder, hash_folder

NAME = "clip"
SETTING = "LOOKALIKE_CLIP_MODEL"
# Change it with anything that moves a vector and is not in the other parts of the revision.
PROCESSING = "sentence-transformers-1"

Precision = Literal["auto", "float32", "float16", "bfloat16"]

_DEFAULT_PX = 224
# On a CPU 8 pictures are as fast as 32, and searches wait less; a GPU wants more at once.
_CPU_BATCH, _GPU_BATCH = 8, 64


class Clip:
    """Vectors of length 1; cosine distance. `model` is a `SentenceTransformer` in eval mode."""

    name = NAME
    distance: Distance = "cosine"

    def __init__(self, model: Any, revision: str) -> None:
        self._model = model
        self.revision = revision
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
        # path of a picture. Half of a surrogate pair has no UTF-8, so it becomes a question mark.
        return self._encode([{"text": text.encode(errors="replace").decode()} for text in texts])


def load(
    cache_folder: Path,
    *,
    model: str = "",
    download: bool = False,
    device: str = "auto",
    precision: Precision = "auto",
) -> Clip:
    """Loads `model`, a folder or a name on the hub. Raises `EmbedderBroken`, within seconds.

    `download` allows to fetch a name that is not on this machine. `device` and `precision` are
    PyTorch's names, or "auto": the first GPU, and half precision where the device is fast with it.
    """
    if not model:
        raise EmbedderBroken(
            f"the embedder {NAME} needs {SETTING}: a model's folder, or its name on the Hugging "
            "Face hub such as clip-ViT-B-32"
        )
    if not download:
        # Read when the hub's library is imported; every request would be repeated for a minute.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch, transformer = _libraries()
    folder = find_folder(model, setting=SETTING, download=download)
    device = _device(torch) if device == "auto" else device
    if precision == "auto":
        precision = _precision(torch, device)
    network = _network(torch, transformer, folder, device, precision)
    modalities = network.modalities
    if "image" not in modalities:
        raise EmbedderBroken(f"{SETTING}: {model} knows {', '.join(modalities)}, and no images")
    parts = (hash_folder(folder), DECODING, PROCESSING, "torch", precision)
    revision = fingerprint(*parts, network.get_embedding_dimension())
    return (ClipWithText if "text" in modalities else Clip)(network, revision)


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
        # Threads that wait for one another on a busy machine make a picture take seconds; more
        # processes (`serve --workers`) use more cores better.
        torch.set_num_threads(1)
    try:
        network = transformer(
            str(folder),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, precision)},
        )
    except Exception as error:  # OSError, ValueError, SafetensorError, RuntimeError of a device …
        raise EmbedderBroken(
            f"{SETTING}: the model in {folder} cannot be loaded on {device}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return network.eval()


def _device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _precision(torch: Any, device: str) -> Precision:
    """Half precision moves a vector by a cosine of 0.00005 and doubles the speed, or more."""
    if not device.startswith("cpu"):
        return "float16"
    features = torch.cpu.get_capabilities()
    fast = features.get("avx512_bf16") or features.get("amx_bf16")
    return "bfloat16" if fast else "float32"


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
