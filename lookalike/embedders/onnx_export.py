"""The image tower of a CLIP -> an ONNX file, of float32 or int8, and how near it stays."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from PIL import Image

from lookalike.embedders.clip import SETTING, load_network
from lookalike.embedders.embedder_errors import EmbedderBroken
from lookalike.embedders.exported import METADATA, ExportedClip, Tower, file_name
from lookalike.embedders.model_folder import find_folder, hash_folder

OPSET = 17
# Of these each output has a scale of its own; that of the inputs is found as they come, so that
# no images are needed for it. On CPUs with VNNI three times as fast as float32.
QUANTIZED = ["MatMul", "Gemm"]


class ExportReport(NamedTuple):
    """The exported file, compared with the model that it was made from."""

    file: Path
    agreement: float
    """The mean cosine of the file's vectors to those of PyTorch in float32."""
    least: float
    """The least of these cosines."""
    torch_ms: float
    """Milliseconds an image with PyTorch in float32, one thread, preprocessing included."""
    exported_ms: float


def export_tower(
    cache_folder: Path,
    images: Sequence[Image.Image],
    *,
    model: str,
    precision: Literal["float32", "int8"],
    download: bool = False,
) -> ExportReport:
    """Writes the file where `clip.load` finds it, and compares both on RGB `images`.

    Raises `EmbedderBroken` where the model cannot be loaded, or prepares images in a way that is
    not known here.
    """
    original = load_network(model, download=download, device="cpu", precision="float32")
    tower = _tower(original, hash_folder(find_folder(model, setting=SETTING, download=False)))
    file = cache_folder / file_name(tower.weights, precision)
    cache_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder) as folder:
        made = _write(original, tower, Path(folder) / "float32.onnx")
        if precision == "int8":
            made = _quantized(made, Path(folder) / "int8.onnx")
        _describe(made, msgspec.structs.replace(tower, precision=precision))
        os.replace(made, file)
    return _compare(original, ExportedClip(file), file, images)


def _tower(network: Any, weights: str) -> Tower:
    processor = getattr(network[0], "processor", None)
    processor = getattr(processor, "image_processor", processor)
    if processor is None:
        raise EmbedderBroken(f"{SETTING}: the model has no image processor")
    size, crop = (dict(getattr(processor, a, None) or {}) for a in ("size", "crop_size"))
    side = crop.get("height") if getattr(processor, "do_center_crop", False) else size.get("height")
    middle = getattr(processor, "do_center_crop", False) and size.get("shortest_edge") == side
    squash = not getattr(processor, "do_center_crop", False) and side == size.get("width")
    if not side or not (middle or squash):
        raise EmbedderBroken(f"{SETTING}: the model prepares pictures in a way not known here")
    return Tower(
        weights=weights,
        precision="float32",
        dimension=network.get_embedding_dimension(),
        image_px=int(side),
        fit="middle" if middle else "squash",
        resample=int(processor.resample),
        has_text="text" in network.modalities,
    )


def _write(network: Any, tower: Tower, file: Path) -> Path:
    """The tower with the arithmetic of its processor: uint8 of (n, px, px, 3) -> (n, dimension)."""
    import torch

    processor = network[0].processor
    processor = getattr(processor, "image_processor", processor)
    mean, deviation = (
        torch.tensor(numbers, dtype=torch.float32).reshape(1, -1, 1, 1)
        for numbers in (processor.image_mean, processor.image_std)
    )

    # Of torch mypy sees no types, so that this base is Any.
    class WholeTower(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: Any) -> Any:
            scaled = pixels.permute(0, 3, 1, 2).to(torch.float32) * processor.rescale_factor
            features = {"pixel_values": (scaled - mean) / deviation, "modality": "image"}
            return self.network.forward(features)["sentence_embedding"]

    example = torch.zeros(1, tower.image_px, tower.image_px, 3, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter that needs nothing but `onnx` announces its successor, and remarks on
        # constants that it has traced rightly.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            WholeTower().eval(),
            (example,),
            str(file),
            input_names=["image"],
            output_names=["embedding"],
            dynamic_axes={"image": {0: "n"}, "embedding": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return file


def _quantized(source: Path, file: Path) -> Path:
    from onnxruntime.quantization import quantize_dynamic

    logger = logging.getLogger()
    disabled, logger.disabled = logger.disabled, True  # advice that does not hold for transformers
    try:
        # 7 bits of weights: CPUs without VNNI add products of 8 bits in 16 and cut off what does
        # not fit, which leaves a cosine of 0.96. A file may be used on another CPU than this.
        # https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
        quantize_dynamic(
            source, file, op_types_to_quantize=QUANTIZED, per_channel=True, reduce_range=True
        )
    finally:
        logger.disabled = disabled
    return file


def _describe(file: Path, tower: Tower) -> None:
    import onnx

    model = onnx.load(file)
    onnx.helper.set_model_props(model, {METADATA: msgspec.json.encode(tower).decode()})
    onnx.save(model, file)


def _compare(
    network: Any, exported: ExportedClip, file: Path, images: Sequence[Any]
) -> ExportReport:
    from lookalike.embedders.clip import Clip

    original = Clip(network, [""])
    one, torch_ms = _timed(original, images)
    other, exported_ms = _timed(exported, images)
    cosines = (one * other).sum(1)
    return ExportReport(file, float(cosines.mean()), float(cosines.min()), torch_ms, exported_ms)


def _timed(embedder: Any, images: Sequence[Image.Image]) -> tuple[Any, float]:
    """Vectors, and the median time of an image in batches of one size."""
    size = min(embedder.batch_size, len(images))
    embedder.embed_images(images[:size])
    rows, times = [], []
    for begin in range(0, len(images), size):
        batch = images[begin : begin + size]
        started = perf_counter()
        rows.append(embedder.embed_images(batch))
        times.append((perf_counter() - started) / len(batch))
    return np.concatenate(rows), float(np.median(times)) * 1000
