"""EfficientNet-Lite0 as an ONNX graph, built from the checkpoint's weights.

Imported only when the graph is not in the cache yet: `onnx` costs a start of the service more
than the network itself does. The network is that of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite with the names of
https://github.com/lukemelas/EfficientNet-PyTorch: a stem, 16 mobile inverted bottlenecks without
squeeze-and-excitation, a head, and the mean over the last 7 x 7 map.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lookalike.embedders.torch_checkpoint import Weights

INPUT, OUTPUT = "image", "embedding"
IMAGE_PX = 224
DIMENSION = 1280
# TensorFlow's value for the EfficientNets, not PyTorch's default of 1e-5.
BATCH_NORM_EPSILON = 1e-3
# (times, kernel, stride of the first, expansion, channels out) of the seven stages.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build(weights: Weights) -> bytes:
    """A serialised model: uint8 of shape (n, 224, 224, 3), RGB -> float32 of shape (n, 1280).

    Normalisation, (pixel - 127) / 128, is part of the graph. Batch norms are folded into the
    convolutions, in float64: it saves their work at every load. A weight that is missing or has
    another shape raises KeyError or ValueError.
    """
    net = _Net(weights)
    value = net.conv(net.normalise(INPUT), "_conv_stem", "_bn0", stride=2)
    channels, block = 32, 0
    for times, kernel, first_stride, expansion, out in STAGES:
        for turn in range(times):
            stride = first_stride if turn == 0 else 1
            before, prefix = value, f"_blocks.{block}."
            if expansion != 1:
                value = net.conv(value, prefix + "_expand_conv", prefix + "_bn0")
            value = net.conv(
                value, prefix + "_depthwise_conv", prefix + "_bn1", stride=stride,
                groups=channels * expansion, kernel=kernel,
            )  # fmt: skip
            value = net.conv(value, prefix + "_project_conv", prefix + "_bn2", relu6=False)
            if stride == 1 and channels == out:
                value = net.node("Add", before, value)
            channels, block = out, block + 1
    value = net.conv(value, "_conv_head", "_bn1")
    net.node("Flatten", net.node("GlobalAveragePool", value), output=OUTPUT)
    return net.serialise()


def fold(weights: Weights, conv: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of a convolution that does what convolution and batch norm do together."""
    kernel, mean, variance, gamma, beta = (
        weights[name].astype(np.float64)
        for name in (
            f"{conv}.weight",
            *(f"{norm}.{part}" for part in ("running_mean", "running_var", "weight", "bias")),
        )
    )
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    folded = kernel * scale[:, None, None, None]
    return folded.astype(np.float32), (beta - mean * scale).astype(np.float32)


@dataclass
class _Net:
    """A graph under construction. Values are named by the node that makes them."""

    weights: Weights
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    side_px: int = IMAGE_PX

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.float32] | float) -> str:
        self.constants[name] = np.asarray(value, np.float32)
        return name

    def normalise(self, image: str) -> str:
        shift = self.constant("shift", 127.0)
        scale = self.constant("scale", 1 / 128)
        value = self.node("Cast", image, to=TensorProto.FLOAT)
        value = self.node("Mul", self.node("Sub", value, shift), scale)
        return self.node("Transpose", value, perm=[0, 3, 1, 2])

    def conv(
        self,
        value: str,
        conv: str,
        norm: str,
        *,
        stride: int = 1,
        groups: int = 1,
        kernel: int | None = None,
        relu6: bool = True,
    ) -> str:
        kernels, bias = fold(self.weights, conv, norm)
        side = kernels.shape[2]
        if kernel not in (None, side):
            raise ValueError(f"{conv} has a kernel of {side}, not {kernel}")
        # TensorFlow's padding "SAME": as much as is needed, the odd pixel at the end.
        made_px = -(-self.side_px // stride)
        padding = max((made_px - 1) * stride + side - self.side_px, 0)
        before, after = padding // 2, padding - padding // 2
        self.side_px = made_px
        value = self.node(
            "Conv",
            value,
            self.constant(f"{conv}.kernel", kernels),
            self.constant(f"{conv}.bias", bias),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )
        if not relu6:
            return value
        low, high = self.constant("low", 0.0), self.constant("high", 6.0)
        return self.node("Clip", value, low, high)

    def serialise(self) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", IMAGE_PX, IMAGE_PX, 3])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", DIMENSION])],
            [numpy_helper.from_array(v, k) for k, v in self.constants.items()],
        )
        # An old operator set and format: every onnxruntime of the last years reads them.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())
