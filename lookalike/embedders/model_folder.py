"""Where a model's files are: a folder of the operator's, or the hub's cache on this machine.

Everything here fails within seconds, and says what to fetch and where to put it. Left alone, the
hub's library repeats its requests for more than a minute on a machine without a network.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import httpx

from lookalike.embedders.embedder_errors import EmbedderBroken

# Tokenizers, configurations and weights; not the README, and not the same weights once more in the
# formats of other libraries.
PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")
WEIGHTS = (".safetensors", ".bin")
OTHER_FORMATS = ("onnx/*", "openvino/*", "*.h5", "*.msgpack")
HUB_S = 5.0

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_HUB_OWNER = "sentence-transformers"


def find_folder(model: str, *, setting: str, download: bool) -> Path:
    """The folder of `model`: a path, or a name on the Hugging Face hub.

    `setting` is what the operator set, for the texts of errors. Without `download` no name is ever
    asked for over the network. Raises `EmbedderBroken`.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return _checked(path, setting)
    if not _HUB_NAME.fullmatch(model) or model.startswith("."):
        raise EmbedderBroken(f"{setting}: there is no folder {model}")
    name = model if "/" in model else f"{_HUB_OWNER}/{model}"
    if download:
        _reach_hub(name, setting)
    return _checked(_snapshot(name, setting, download), setting)


def hash_folder(folder: Path) -> str:
    """SHA-256, in hex, over the names and bytes of all files of a model that can move a vector.

    About a second for each gigabyte.
    """
    digest = hashlib.sha256()
    for path in model_files(folder):
        with path.open("rb") as file:
            part = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\n{part}\n".encode())
    return digest.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files of a model, sorted by their path in the folder."""
    files = {path for pattern in PATTERNS for path in folder.rglob(pattern) if path.is_file()}
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def _checked(folder: Path, setting: str) -> Path:
    names = {path.name for path in model_files(folder)}
    missing = []
    if not names & {"config.json", "modules.json"}:
        missing.append("config.json")
    if not any(name.endswith(WEIGHTS) for name in names):
        missing.append("weights (model.safetensors)")
    if missing:
        raise EmbedderBroken(
            f"{setting}: the folder {folder} is no model; it lacks {' and '.join(missing)}"
        )
    return folder


def _reach_hub(name: str, setting: str) -> None:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        httpx.head(endpoint, timeout=HUB_S)
    except httpx.HTTPError as error:
        raise EmbedderBroken(
            f"{setting}: {endpoint} cannot be reached ({type(error).__name__}). {_advice(name)}"
        ) from error


def _snapshot(name: str, setting: str, download: bool) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise EmbedderBroken(
            f"{setting}: {name} is no folder; for names of the hub: pip install 'lookalike[clip]'"
        ) from error
    try:
        return Path(
            snapshot_download(
                name,
                local_files_only=not download,
                allow_patterns=list(PATTERNS),
                ignore_patterns=list(OTHER_FORMATS),
            )
        )
    except Exception as error:  # the library's classes for it differ from version to version
        raise EmbedderBroken(
            f"{setting}: {name} is neither a folder nor a model that is on this machine "
            f"({type(error).__name__}). {_advice(name)}"
        ) from error


def _advice(name: str) -> str:
    return (
        f"Fetch it where there is a network, with `hf download {name} --local-dir FOLDER`, copy "
        "FOLDER to this machine, and name that"
    )
