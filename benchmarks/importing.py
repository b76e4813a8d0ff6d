"""Importing photos over HTTP beside the embedder's own speed, and searches while it runs.

Goals: an import reaches 85 % of what the embedder does alone, decoded pictures at hand; the p95 of
searches by picture is at most three times the idle one. Every photo is another crop of a real one.
"""

from __future__ import annotations

import base64
import io
import json
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import load
from benchmarks.photos import rooms
from benchmarks.quality import decoded
from benchmarks.service import Service
from lookalike.embedders import lite0

PHOTOS = 240
BATCH = 20
CONNECTIONS = 4
SEARCHES = 80
SIDE_PX = 1000


def main() -> None:
    # All different, or the service would know some vectors already.
    photos = jpegs(2 * PHOTOS + SEARCHES)
    sent, sent_later, asked = photos[:PHOTOS], photos[PHOTOS : 2 * PHOTOS], photos[2 * PHOTOS :]
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        headers = {"collection-id": collection(service.port)}
        path = "/similarity/photos/v2/"
        searches = [load.post(path + "visualKNN", headers, search(photo)) for photo in asked]
        inserts = [
            load.post(path + "insert", headers, records(begin, sent[begin : begin + BATCH]))
            for begin in range(0, len(sent), BATCH)
        ]
        # Before and after, as the machine may be shared.
        alone = [own_speed(sent)]
        load.run(service.port, inserts[:1], 1)
        idle = load.run(service.port, searches[: SEARCHES // 2], 1).latencies
        imported = load.run(service.port, inserts[1:], CONNECTIONS)
        alone.append(own_speed(sent))
        busy = _while_importing(
            service, collection(service.port), sent_later, searches[SEARCHES // 2 :]
        )
    per_second = BATCH * imported.per_second
    print(f"embedder alone  {alone[0]:.1f}, {alone[1]:.1f} photos a second")
    share = per_second / float(np.mean(alone))
    print(f"import          {per_second:.1f} photos a second, {share:.0%} of that")
    for name, latencies in (("idle", idle), ("during import", busy)):
        p50, p95 = (1000 * float(np.percentile(latencies, q)) for q in (50, 95))
        print(f"searches by picture, {name:13}  p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    ratio = np.percentile(busy, 95) / np.percentile(idle, 95)
    print(f"p95 during an import: {ratio:.1f} times the idle one ({len(busy)} searches)")


def _while_importing(
    service: Service, into: str, photos: Sequence[bytes], searches: Sequence[bytes]
) -> list[float]:
    """Seconds of searches that began while an import into another collection ran."""
    inserts = [
        load.post(
            "/similarity/photos/v2/insert",
            {"collection-id": into},
            records(begin, photos[begin : begin + BATCH]),
        )
        for begin in range(0, len(photos), BATCH)
    ]
    importing = threading.Thread(target=load.run, args=(service.port, inserts, CONNECTIONS))
    importing.start()
    time.sleep(0.3)
    latencies: list[float] = []
    for request in searches:
        if not importing.is_alive():
            break
        latencies += load.run(service.port, [request], 1).latencies
    importing.join()
    return latencies


def jpegs(count: int) -> list[bytes]:
    """Different crops of the photos of rooms, 1,000 pixels wide."""
    images, numbers, made = decoded(rooms(), 480), np.random.default_rng(1), []
    for number in range(count):
        image = images[number % len(images)]
        left, top = (int(part) for part in numbers.integers(0, 60, 2))
        cut = image.crop((left, top, image.width - 60 + left, image.height - 60 + top))
        file = io.BytesIO()
        cut.resize((SIDE_PX, SIDE_PX * cut.height // cut.width)).save(file, "JPEG", quality=88)
        made.append(file.getvalue())
    return made


def own_speed(photos: Sequence[bytes]) -> float:
    """Photos a second of the network alone, in this process, decoded before."""
    with tempfile.TemporaryDirectory() as folder:
        network = lite0.load(Path(folder))
    images = decoded(photos[:60], network.image_px)
    network.embed_images(images[:2])
    started = time.perf_counter()
    for image in images:
        network.embed_images([image])
    return len(images) / (time.perf_counter() - started)


def records(begin: int, photos: Sequence[bytes]) -> bytes:
    return json.dumps(
        {
            "records": [
                {"_id": str(begin + number), "_base64": base64.b64encode(photo).decode()}
                for number, photo in enumerate(photos)
            ]
        }
    ).encode()


def search(photo: bytes) -> bytes:
    record = {"_base64": base64.b64encode(photo).decode()}
    return json.dumps({"query_record": record, "k": 10}).encode()


def collection(port: int) -> str:
    body = json.dumps({"name": "bench", "type": "photos"}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/similarity/v2/collection/",
        body,
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        id_: str = json.load(response)["id"]
        return id_
