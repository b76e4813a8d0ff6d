"""Images as clients send them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lookalike.embedders.images.formats import FORMATS
from tests.contract.answers import codes, ids, search
from tests.contract.images import base64_of, encoded, opened
from tests.embedders.images.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    cmyk_profile,
    in_profile,
    on_press,
    rgb_profile,
)
from tests.file_server import FileServer
from tests.service import Service


@pytest.mark.parametrize("format_", FORMATS)
def test_formats_with_and_without_data_header(
    format_: str, service: Service, shop: str, thumbnails: dict[str, bytes]
) -> None:
    image = opened(thumbnails["26"])
    data = base64_of(encoded(image, format_, **{"sizes": [image.size]} if format_ == "ICO" else {}))
    for text in (data, f"data:{FORMATS[format_][0]};base64,{data}"):
        answer = search(service, shop, {"_base64": text}, k=1)
        assert ids(answer) == ["26"]
        assert answer["answer_distances"][0] < 0.05


def test_orientation_is_applied(service: Service, shop: str, thumbnails: dict[str, bytes]) -> None:
    upright = opened(thumbnails["26"])
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    query = {"_base64": base64_of(encoded(turned, "PNG", exif=exif.tobytes()))}
    assert search(service, shop, query, k=1)["answer_distances"][0] < 0.01


def test_images_are_fetched(
    service: Service, collection: str, thumbnails: dict[str, bytes], file_server: FileServer
) -> None:
    records = [
        {"_id": id_, "_url": file_server.add(f"/photos/{id_}.jpg", data)}
        for id_, data in itertools.islice(thumbnails.items(), 10)
    ]
    body = {"records": records, "fields_to_return": ["_url"]}
    assert service.answer("insert", collection, body)["answer_records"] == records
    answer = search(
        service, collection, {"_url": records[4]["_url"]}, k=1, fields_to_return=["_url"]
    )
    assert answer["answer_records"] == [records[4]]


def test_ten_images_of_seven_megabytes(service: Service, collection: str) -> None:
    rng = np.random.default_rng(1)
    records = []
    for number in range(10):
        noise = rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)
        data = encoded(Image.fromarray(noise), "JPEG", quality=92)
        records.append({"_id": str(number), "_base64": base64_of(data)})
    body = json.dumps({"records": records}).encode()
    assert len(body) > 7_000_000
    answer = service.http.post(
        "/similarity/photos/v2/insert", content=body, headers={"collection-id": collection}
    ).json()
    assert codes(answer) == (210, [str(number) for number in range(10)], [])


def test_a_redirect_within_what_is_allowed(
    service: Service,
    collection: str,
    thumbnails: dict[str, bytes],
    file_server: FileServer,
) -> None:
    url = file_server.redirect("/moved", file_server.add("/redirected.jpg", thumbnails["2"]))
    service.load(collection, [{"_id": "1", "_url": url}])


def test_a_colour_is_itself_in_every_profile(service: Service) -> None:
    green = (0x14, 0xA0, 0x3C)
    plain = Image.new("RGB", (64, 64), green)
    inks = Image.new("CMYK", (64, 64), on_press(green))
    collection = service.collection(type="colors")
    service.load(collection, [{"_id": "green", "_base64": base64_of(encoded(plain, "PNG"))}])
    queries = [
        encoded(in_profile(plain, profile, "RGB"), kind, icc_profile=profile)
        for profile in (rgb_profile(ADOBE_RGB, 2.2), rgb_profile(DISPLAY_P3, 2.2))
        for kind in ("JPEG", "PNG", "HEIF", "AVIF")
    ]
    queries.append(encoded(inks, "JPEG", icc_profile=cmyk_profile()))
    queries.append(encoded(plain.convert("CMYK"), "JPEG"))
    for data in queries:
        answer = search(service, collection, {"_base64": base64_of(data)}, k=1)
        assert answer["answer_distances"][0] <= 0.01


@pytest.mark.parametrize("type_", ["photos", "products", "matching"])
def test_white_drawings_on_nothing_are_no_duplicates(service: Service, type_: str) -> None:
    shapes: dict[str, Callable[[ImageDraw.ImageDraw], None]] = {
        "disc": lambda draw: draw.ellipse((60, 60, 240, 240), fill="white"),
        "bar": lambda draw: draw.rectangle((20, 130, 280, 170), fill="white"),
        "triangle": lambda draw: draw.polygon([(150, 40), (260, 250), (40, 250)], fill="white"),
        "frame": lambda draw: draw.rectangle((30, 30, 270, 270), outline="white", width=12),
    }
    collection = service.collection(type=type_)
    for name, shape in shapes.items():
        image = Image.new("RGBA", (300, 300))
        shape(ImageDraw.Draw(image))
        record = {"_id": name, "_base64": base64_of(encoded(image, "PNG"))}
        answer = service.answer("nearDupsInsert", collection, {"records": [record]})
        assert answer["status"]["code"] == 210, answer
    assert sorted(service.ids(collection)) == sorted(shapes)
