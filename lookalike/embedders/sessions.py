"""ONNX Runtime, set up for many small requests beside other work."""

from __future__ import annotations

from pathlib import Path

import onnxruntime


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """A network on one thread of the CPU. Raises one of onnxruntime's dozen unrelated classes."""
    options = onnxruntime.SessionOptions()
    # More threads than free cores make every operator wait for the slowest of them; more
    # processes (`serve --workers`) use more cores better.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # The arena keeps the memory of the largest run forever, and one image gains nothing by it.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
