"""Colours that a record gets on request."""

from __future__ import annotations

import base64

from lookalike.cli.demo_images import DemoImage
from tests.service import Service


def test_colours_are_extracted_where_that_is_asked_for(
    service: Service, products: list[DemoImage]
) -> None:
    collection = service.collection(type="fashion")
    red = next(product for product in products if product.name.startswith("Red Dwarf"))
    record = {"_base64": base64.b64encode(red.image).decode()}
    for id_, asked in (("with", True), ("without", False), ("null", None)):
        body = {"records": [record | {"_id": id_}], "extract_colors": asked}
        assert service.answer("insert", collection, body)["status"]["code"] == 210
    wanted = {"records": [{"_id": "with"}, {"_id": "without"}, {"_id": "null"}]}
    answer = service.answer("get", collection, wanted | {"fields_to_return": ["*"]})
    coloured, *others = answer["answer_records"]
    assert [sorted(other) for other in others] == [["_id"], ["_id"]]
    colours = coloured["_dominant_colors"]
    lengths = {len(values) for values in colours.values()}
    assert lengths == {len(colours["rgb_colors"])}
    assert colours["percentages"] == sorted(colours["percentages"], reverse=True)
    assert any(r > 1.5 * g and r > 1.5 * b for r, g, b in colours["rgb_colors"])
    found = service.answer("get", collection, {"records": [{"_id": "with"}]})
    assert "_dominant_colors" not in found["answer_records"][0]
