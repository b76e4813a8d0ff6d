"""Pictures from where clients have them: data URLs, origins that refuse, private origins."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.answers import ids, search
from tests.contract.images import base64_of
from tests.service import Service


def forms(data: bytes) -> dict[str, str]:
    return {
        "base64": f"data:image/jpeg;base64,{base64_of(data)}",
        "quoted": f" Data:image/jpeg;base64,{quote(base64_of(data).rstrip('='))}",
        "percent": f"data:image/jpeg,{quote(data)}",
    }


@pytest.mark.parametrize("form", ["base64", "quoted", "percent"])
def test_a_data_url_is_read_and_never_kept(
    form: str, service: Service, collection: str, shop: str, thumbnails: dict[str, bytes]
) -> None:
    url = forms(thumbnails["26"])[form]
    assert search(service, shop, {"_url": url}, k=1)["answer_distances"] == [0.0]
    body = {
        "records": [
            {"_id": "1", "_url": url, "price": 7},
            {"_id": "2", "_url": url[: len(url) // 2] + "!", "price": 8},
            {"_id": "3", "_base64": base64_of(thumbnails["26"]), "_url": url},
        ],
        "fields_to_return": ["*"],
    }
    answer = service.answer("insert", collection, body)
    kept = [{"_id": "1", "price": 7}, {"_id": "3"}]
    (skipped,) = answer["skipped_records"]
    assert answer["answer_records"] == kept
    assert skipped.pop("_reason")["status"]["code"] == 422
    assert skipped == {"_id": "2", "price": 8}
    assert [service.stored(collection, id_) for id_ in ("1", "3")] == kept
    assert ids(search(service, collection, {"_url": url})) == ["1", "3"]


def test_no_answer_repeats_a_data_url(
    service: Service, shop: str, thumbnails: dict[str, bytes]
) -> None:
    record = {"_url": forms(thumbnails["26"])["base64"], "name": "given"}
    bodies: dict[str, Any] = {
        "visualRankRecords": {"query_record": record, "records": [record]},
        "descriptor": {"records": [record]},
        "rank_images": {"query_record": record, "records": [record]},
        "visual_hash": {"records": [record]},
        "remove_duplicates": {"records": [record]},
        "update": {"records": [{"_id": "no such record"} | record]},
    }
    for method, body in bodies.items():
        asked = body if method == "update" else body | {"fields_to_return": ["*"]}
        prefix = "image_matching" if "_" in method else ""
        response = service.call(method, shop, asked, prefix)
        assert response.status_code == 200, response.text
        assert "data:" not in json.dumps(response.json()), method
