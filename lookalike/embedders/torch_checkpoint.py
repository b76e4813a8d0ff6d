"""Reads a PyTorch checkpoint without PyTorch, and without running any code that is in it.

The file is of PyTorch's first format (before 1.6, no zip): five pickles one after the other (magic
number, protocol version, facts about the machine, the state dict, the order of the storages),
then every storage as its length (int64) and its raw little-endian numbers. Source of the format:
`_legacy_load` in https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001

Weights = dict[str, NDArray[Any]]


class CheckpointError(Exception):
    """The file is not a checkpoint of the format that this module reads."""


class _Storage(NamedTuple):
    """A flat run of numbers that tensors are cut from; its numbers come later in the file."""

    key: str
    dtype: np.dtype[Any]
    length: int


class _Tensor(NamedTuple):
    """The arguments of `torch._utils._rebuild_tensor_v2`; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    hooks: object


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    """Knows four names, none of which does anything; every other name ends the reading."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise CheckpointError(f"the checkpoint asks for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", np.dtype() as dtype, str(key), str(), int(length), None):
                return _Storage(key, dtype, length)
        raise CheckpointError("the checkpoint refers to something that is not a whole storage")


def read_checkpoint(path: Path) -> Weights:
    """The state dict: names of parameters -> arrays (float32, counters int64).

    Raises `CheckpointError` for anything that is not such a file, OSError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"{path.name} is not a PyTorch checkpoint: {error}") from error


def _read(file: IO[bytes]) -> Weights:
    # Each pickle ends where the next begins: an unpickler of a buffered file reads no further.
    magic, protocol, machine, state, keys = (_Unpickler(file).load() for _ in range(5))
    if magic != _MAGIC or protocol != _PROTOCOL or not machine.get("little_endian"):
        raise CheckpointError("not a little-endian checkpoint of protocol 1001")
    tensors: dict[str, _Tensor] = dict(state)
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    numbers = {key: _numbers(file, storages[key]) for key in keys}
    return {name: _cut(tensor, numbers[tensor.storage.key]) for name, tensor in tensors.items()}


def _numbers(file: IO[bytes], storage: _Storage) -> NDArray[Any]:
    length = int.from_bytes(file.read(8), "little")
    if length != storage.length:
        raise CheckpointError(f"storage {storage.key} has {length} numbers")
    return np.frombuffer(file.read(length * storage.dtype.itemsize), storage.dtype, length)


def _cut(tensor: _Tensor, numbers: NDArray[Any]) -> NDArray[Any]:
    # The strides matter: weights that came from TensorFlow keep its order of axes in memory.
    reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset < 0 or min(tensor.strides, default=0) < 0:
        raise CheckpointError("a tensor of the checkpoint begins before its storage")
    if tensor.offset + reach >= len(numbers):
        raise CheckpointError("a tensor of the checkpoint ends after its storage")
    strides = [step * numbers.itemsize for step in tensor.strides]
    return np.ascontiguousarray(as_strided(numbers[tensor.offset :], tensor.shape, strides))
