"""A part of a picture, `_crop`: of one that is sent, and of a stored record's `_url`."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from tests.contract.answers import ids
from tests.contract.palette import COLOURS, filled, png
from tests.file_server import FileServer
from tests.service import Service

pytestmark = pytest.mark.usefixtures("healthy_afterwards")


def halves(left: str, right: str) -> bytes:
    """40 pixels wide, of two colours."""
    image = Image.new("RGB", (40, 20), COLOURS[right])
    image.paste(COLOURS[left], (0, 0, 20, 20))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_part_of_an_image(service: Service, paints: str) -> None:
    half = {"_base64": base64.b64encode(halves("red", "blue")).decode()}
    for crop, name in (([0, 0, 0.5, 1], "red"), ([20, 0, 40, 20], "blue")):
        for query in (half, half | {"_id": "green"}):
            body = {"query_record": query | {"_crop": crop}, "k": 1}
            assert ids(service.answer("visualKNN", paints, body)) == [name]


def test_a_part_of_a_stored_image_is_cut_from_its_url(
    service: Service, file_server: FileServer
) -> None:
    paints = filled(service)
    url = file_server.add("/halves.png", halves("red", "blue"))
    service.load(paints, [{"_id": "halves", "_url": url, "n": 7}])
    for crop, name in (([0, 0, 0.5, 1], "red"), ([20, 0, 40, 20], "blue")):
        part = {"_id": "halves", "_crop": crop}
        body: dict[str, Any] = {"query_record": part, "k": 1}
        assert ids(service.answer("visualKNN", paints, body)) == [name]
        several = {"query_records": [part], "k": 1}
        assert ids(service.answer("visualKNN", paints, several)) == [name]
        body = {"query_record": {"_id": name}, "records": [part, {"_id": "green"}]}
        assert ids(service.answer("visualRankRecords", paints, body))[0] == "halves"


@pytest.mark.parametrize(
    ("part", "place", "said"),
    [
        ({"_id": "red", "_crop": [0, 0, 1, 1]}, "$.query_record._crop", "the stored record has no"),
        ({"_base64": "", "_crop": [0, 0, 1, 1]}, "$.query_record", "is needed"),
        ({"_base64": png(COLOURS["red"]), "_crop": [0, 0, 9, 900]}, "$.query_record", "beyond"),
        ({"_base64": png(COLOURS["red"]), "_crop": [1, 2, 3]}, "$.query_record", "four numbers"),
    ],
)
def test_a_part_that_cannot_be_cut_says_why(
    part: Any, place: str, said: str, service: Service, paints: str
) -> None:
    answer = service.call("visualKNN", paints, {"query_record": part})
    assert answer.status_code == 400
    assert answer.json()["status"]["place"] == place
    assert said in answer.json()["detail"]
    unknown = {"query_record": {"_id": "no such", "_crop": [0, 0, 1, 1]}}
    assert service.answer("visualKNN", paints, unknown)["status"]["code"] == 404


def test_a_given_part_that_cannot_be_cut_is_refused_alone(service: Service, paints: str) -> None:
    parts = [{"_id": "red", "_crop": [0, 0, 1, 1]}, {"_id": "no such", "_crop": [0, 0, 1, 1]}]
    body = {"query_record": {"_id": "red"}, "records": [*parts, {"_id": "blue"}]}
    answer = service.answer("visualRankRecords", paints, body)
    assert ids(answer) == ["blue"]
    reasons = [r["_reason"]["status"]["code"] for r in answer["skipped_records"]]
    assert reasons == [400, 404]
