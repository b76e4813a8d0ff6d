"""The ways in which models of the CLIP family are published, as folders with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.random_clip import TINY, save_clip

END = "<|endoftext|>"
SPECIAL = {"bos_token": "<|startoftext|>", "eos_token": END, "pad_token": END, "unk_token": END}


def saved_by_transformers(folder: Path) -> Path:
    """What `save_pretrained` writes today. Answers where transformers itself finds the model."""
    return save_clip(folder)


def published_for_transformers(folder: Path) -> Path:
    """The files of `patrickjohncyh/fashion-clip` and of OpenAI's own."""
    save_clip(folder)
    processor = json.loads(_taken(folder / "processor_config.json"))["image_processor"]
    _write(
        folder / "preprocessor_config.json",
        processor
        | {"processor_class": "CLIPProcessor", "feature_extractor_type": "CLIPFeatureExtractor"},
    )
    tokenizer = json.loads((folder / "tokenizer.json").read_text())["model"]
    _write(folder / "vocab.json", tokenizer["vocab"])
    merges = "".join(f"{' '.join(pair)}\n" for pair in tokenizer["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}")
    _write(folder / "special_tokens_map.json", SPECIAL)
    settings = {"tokenizer_class": "CLIPTokenizer", "do_lower_case": True, "model_max_length": 77}
    _write(folder / "tokenizer_config.json", SPECIAL | settings)
    return folder


def saved_by_sentence_transformers(folder: Path) -> Path:
    from sentence_transformers import SentenceTransformer

    plain = save_clip(folder / "plain")
    SentenceTransformer(str(plain), device="cpu").save_pretrained(str(folder))
    for file in plain.iterdir():
        file.unlink()
    plain.rmdir()
    return folder


def published_for_sentence_transformers(folder: Path) -> Path:
    """The files of `sentence-transformers/clip-ViT-B-32`, of 2021."""
    model = published_for_transformers(folder / "0_CLIPModel")
    (model / "tokenizer.json").unlink()
    processor = json.loads(_taken(model / "preprocessor_config.json"))
    old = ("do_resize", "do_center_crop", "do_normalize", "image_mean", "image_std", "resample")
    sides = {"size": TINY.image_px, "crop_size": TINY.image_px}
    kind = {"feature_extractor_type": "CLIPFeatureExtractor"}
    _write(
        model / "preprocessor_config.json", {name: processor[name] for name in old} | sides | kind
    )
    module = {"idx": 0, "name": "0", "path": model.name}
    _write(folder / "modules.json", [module | {"type": "sentence_transformers.models.CLIPModel"}])
    versions = {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}
    _write(folder / "config_sentence_transformers.json", {"__version__": versions})
    return model


def with_code_of_its_own(folder: Path) -> Path:
    """As Marqo's models: a `model_type` that transformers knows, and code for other weights."""
    from safetensors.torch import load_file, save_file

    published_for_transformers(folder)
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.Config", "AutoModel": "own.Model", "AutoProcessor": "own.Processor"}
    _write(folder / "config.json", config | {"auto_map": own})
    (folder / "own.py").write_text(f"open({str(folder / 'was run')!r}, 'w')\n")
    weights = load_file(folder / "model.safetensors")
    named = {f"model.{name}": numbers for name, numbers in weights.items()}
    renamed = {name.replace("vision_model", "visual"): numbers for name, numbers in named.items()}
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    return folder


def _taken(file: Path) -> str:
    text = file.read_text()
    file.unlink()
    return text


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))
