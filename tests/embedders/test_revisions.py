"""Collections of an earlier decoding are still searched: the bundled embedders know its name."""

from __future__ import annotations

import pytest

from lookalike.embedders.batching import BatchedEmbedder
from lookalike.embedders.colors import Colors
from lookalike.embedders.compact import Compact
from lookalike.embedders.images.decoding import DECODINGS
from lookalike.embedders.lite0 import Lite0
from lookalike.embedders.phash import PerceptualHash
from lookalike.embedders.product import Product

# As collections have them that were made before pictures were brought to sRGB.
DECODE_1: dict[type[Lite0 | Compact | Colors | PerceptualHash | Product], str] = {
    Lite0: "d145cee4394315e1",
    Compact: "591b45e77a7ba7fd",
    Colors: "a8b37529fd6ae68b",
    PerceptualHash: "d5ec3d2682d6858d",
    Product: "c7d942073d1589e1",
}


@pytest.mark.parametrize("embedder", DECODE_1)
def test_the_revisions_of_former_decodings_are_known(
    embedder: type[Lite0 | Compact | Colors | PerceptualHash | Product],
) -> None:
    assert embedder.former_revisions[DECODINGS.index("decode-1") - 1] == DECODE_1[embedder]
    revisions = {embedder.revision, *embedder.former_revisions}
    assert len(revisions) == len(DECODINGS)


async def test_only_named_revisions_are_compared() -> None:
    batched = BatchedEmbedder(Colors())
    assert all(map(batched.compares_with, (Colors.revision, DECODE_1[Colors])))
    assert not batched.compares_with(DECODE_1[PerceptualHash])
    await batched.close()
