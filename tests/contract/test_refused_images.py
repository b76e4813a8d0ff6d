"""Images that are refused: each row is what a record has as its image, and the code of its refusal.

The record is refused, the others of its batch are inserted, and nothing of it is stored.
"""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from tests.contract.images import MEBIBYTE, base64_of, bomb, encoded
from tests.embedders.images.bombs import claiming
from tests.file_server import FileServer
from tests.live import free_port
from tests.service import Service

pytestmark = pytest.mark.usefixtures("healthy_afterwards")

NOT_STRINGS: list[Any] = [7, True, ["x"], {"x": 1}]

FIELDS: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "_url"),
    *(({"_url": value}, 400, "_url") for value in NOT_STRINGS),
    *(({"_base64": value}, 400, "_base64") for value in NOT_STRINGS),
    ({"_base64": ""}, 400, "_base64"),
    ({"_base64": "!!!"}, 422, "_base64"),
    ({"_base64": "abcde"}, 422, "_base64"),
    ({"_base64": "b'YWJj'"}, 422, "Python's notation of bytes"),
    ({"_url": "data:image/png;base64,!!!"}, 422, "`_url` is not valid base64"),
    ({"_url": "data:image/png"}, 422, "data URL"),
    ({"_base64": "data:image/png;base64,"}, 422, "empty"),
    ({"_base64": "data:image/png,plain"}, 422, "_base64"),
    ({"_base64": "ž" * 100}, 422, "_base64"),
    ({"_base64": "\x00" * 8}, 422, "_base64"),
    ({"_url": ""}, 400, "_url"),
    ({"_url": "not a url"}, 422, "whole http or https URL"),
    ({"_url": "/etc/passwd"}, 422, "whole http or https URL"),
    ({"_url": "file:///etc/passwd"}, 422, "whole http or https URL"),
    ({"_url": "ftp://127.0.0.1/a.jpg"}, 422, "whole http or https URL"),
    ({"_url": "http://"}, 422, "whole http or https URL"),
    ({"_url": "http://user:pass@127.0.0.1/a.jpg"}, 422, "password"),
    ({"_url": "http://127.0.0.1:99999/a.jpg"}, 504, "_url"),
    ({"_url": "http://localhost/a.jpg"}, 504, "_url"),
]
"""127.0.0.1 is on this service's list of hosts, and no other private address is."""

PRIVATE = [
    "http://host.invalid/a.jpg",
    "http://127.0.0.2/a.jpg",
    "http://10.1.2.3/a.jpg",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/a.jpg",
    "http://[::ffff:10.0.0.1]/a.jpg",
    "http://0x7f000002/a.jpg",
    "http://0/a.jpg",
]

JPEG = encoded(Image.linear_gradient("L").convert("RGB"), "JPEG")
DAMAGED = {
    "text": b"a text file\n" * 100,
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "pdf": b"%PDF-1.4 " + bytes(500),
    "truncated": JPEG[: len(JPEG) // 2],
    "header only": JPEG[:20],
    "zeros": bytes(len(JPEG)),
    "decompression bomb": bomb(),
    "heic of 81 Mpx": claiming(encoded(Image.new("RGB", (64, 64)), "HEIF"), 9_000, 9_000),
    "avif of 3.6 Gpx": claiming(encoded(Image.new("RGB", (64, 64)), "AVIF"), 60_000, 60_000),
    "jpeg 2000 of 81 Mpx": claiming(encoded(Image.new("L", (64, 64)), "JPEG2000"), 9_000, 9_000),
    "nothing to see": encoded(Image.new("RGBA", (64, 64)), "PNG"),
}


def refused_image(
    service: Service, collection: str, image: dict[str, Any], good: str, code: int
) -> str:
    """Inserts a good record around the bad one, and answers why the bad one was not taken."""
    records = [
        {"_id": "first", "_base64": good},
        {"_id": "bad", "price": 3, **image},
        {"_id": "last", "_base64": good},
    ]
    answer = service.answer("insert", collection, {"records": records})
    assert answer["status"] == {"code": 211, "text": "some records inserted"}
    assert [r["_id"] for r in answer["answer_records"]] == ["first", "last"]
    (skipped,) = answer["skipped_records"]
    assert skipped["_id"] == "bad"
    assert skipped["price"] == 3
    assert "_base64" not in skipped
    assert skipped["_reason"]["status"]["code"] == code
    assert sorted(service.ids(collection)) == ["first", "last"]
    if image:  # as a query it is a fault of the request
        response = service.call("visualKNN", collection, {"query_record": image})
        assert response.status_code == 400
        answer = response.json()
        assert answer["status"]["code"] == (400 if code == 422 else code)
        assert answer["status"]["place"] == "$.query_record"
    text: str = skipped["_reason"]["status"]["text"]
    assert text
    return text


@pytest.mark.parametrize(("fields", "code", "word"), FIELDS, ids=lambda part: str(part)[:40])
def test_fields_that_are_no_image(
    fields: dict[str, Any], code: int, word: str, service: Service, collection: str, image: str
) -> None:
    assert word in refused_image(service, collection, fields, image, code)


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address(url: str, service: Service, collection: str, image: str) -> None:
    text = refused_image(service, collection, {"_url": url}, image, 504)
    assert text == "the host of `_url` has no address that may be fetched"


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_bytes_that_are_no_image(
    data: bytes, service: Service, collection: str, image: str, file_server: FileServer
) -> None:
    refused_image(service, collection, {"_base64": base64_of(data)}, image, 422)
    service.answer("delete", collection, {"records": [{"_id": "first"}, {"_id": "last"}]})
    url = file_server.add("/damaged", data)
    text = refused_image(service, collection, {"_url": url}, image, 422)
    assert url not in text


def test_an_image_with_too_many_bytes(service: Service, collection: str, image: str) -> None:
    data = base64_of(bytes(33 * MEBIBYTE))
    text = refused_image(service, collection, {"_base64": data}, image, 422)
    assert "bytes" in text


@pytest.fixture(scope="module")
def nowhere(file_server: FileServer) -> dict[str, str]:
    closed = f"http://127.0.0.1:{free_port()}/a.jpg"
    return {
        "nobody listens": closed,
        "not there": file_server.url("/missing.jpg"),
        "in a circle": file_server.redirect("/circle", "/circle"),
        "where nobody listens": file_server.redirect("/closed", closed),
        "another loopback": file_server.redirect("/loopback", "http://127.0.0.2/a.jpg"),
        "cloud metadata": file_server.redirect("/metadata", "http://169.254.169.254/"),
        "a file": file_server.redirect("/file", "file:///etc/passwd"),
    }


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("nobody listens", 504),
        ("not there", 410),
        ("in a circle", 504),
        ("where nobody listens", 504),
        ("another loopback", 504),
        ("cloud metadata", 504),
        ("a file", 422),
    ],
)
def test_urls_that_lead_nowhere(
    place: str,
    code: int,
    nowhere: dict[str, str],
    service: Service,
    collection: str,
    image: str,
) -> None:
    refused_image(service, collection, {"_url": nowhere[place]}, image, code)


def test_a_private_host_that_is_not_on_the_list(
    admin: Service, image: str, thumbnails: dict[str, bytes], file_server: FileServer
) -> None:
    """The same image server that the other service may use; it is not even asked."""
    url = file_server.add("/private.jpg", thumbnails["2"])
    text = refused_image(admin, admin.collection(), {"_url": url}, image, 504)
    assert "127.0.0.1" not in text
