"""CLIP with random weights, built without a network: tiny for tests, ViT-B/32 for speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple


class Size(NamedTuple):
    """The numbers of the real architecture; `text_` and `image_` are widths of the towers."""

    dimension: int
    image_px: int
    patch_px: int
    layers: int
    image_width: int
    text_width: int
    width_of_head: int


TINY = Size(16, 32, 8, 2, 32, 32, 16)
# https://huggingface.co/openai/clip-vit-base-patch32
VIT_B_32 = Size(512, 224, 32, 12, 768, 512, 64)


def save_clip(folder: Path, size: Size = TINY, *, seed: int = 0) -> Path:
    """Weights, processor and tokenizer, as `save_pretrained` of any CLIP leaves them."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = _tokenizer()
    ends = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(
        text_config={**_tower(size, size.text_width), **ends, "vocab_size": len(tokenizer)},
        vision_config={
            **_tower(size, size.image_width),
            "image_size": size.image_px,
            "patch_size": size.patch_px,
        },
        projection_dim=size.dimension,
    )
    torch.manual_seed(seed)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": size.image_px},
        crop_size={"height": size.image_px, "width": size.image_px},
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPProcessor(image_processor=processor, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _tower(size: Size, width: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": width // size.width_of_head,
        "projection_dim": size.dimension,
    }


def _tokenizer() -> Any:
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    merges = [("r", "e"), ("re", "d</w>")]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
