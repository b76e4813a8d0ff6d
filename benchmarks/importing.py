"""Importing images over HTTP beside the embedder's own speed, and searches while it runs.

Goals: an import reaches 85 % of what the embedder does alone, decoded images at hand; the p95 of
searches by image is at most three times the idle one. The images are crops of real ones.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import load
from benchmarks.labelled_images import rooms
from benchmarks.quality import decoded
from benchmarks.service import Service
from lookalike.embedders import lite0

# The import is compared with this embedder, whichever is the default.
EMBEDDER = "lite0"
ROUNDS = 4
IMAGES = 240
BATCH = 20
CONNECTIONS = 4
SEARCHES = 30
SIDE_PX = 1000

Share = Callable[[int], list[bytes]]


class Round(NamedTuple):
    """Images a second by the embedder alone and by an import; seconds of each search."""

    alone: float
    imported: float
    idle: list[float]
    busy: list[float]


def main() -> None:
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    made = jpegs(IMAGES)
    numbers = itertools.count()

    def share(count: int) -> list[bytes]:
        """Images that the service has not seen: it knows bytes again, and reads on to their end."""
        return [made[n % IMAGES] + n.to_bytes(4) for n in itertools.islice(numbers, count)]

    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        network = lite0.load(Path(folder) / "models")
        _round(service.port, network, share)  # to warm up
        # All of it in turn, several times: the machine may be shared.
        rounds = [_round(service.port, network, share) for _ in range(ROUNDS)]
    for number, each in enumerate(rounds):
        print(
            f"round {number}: alone {each.alone:.1f}, import {each.imported:.1f} photos a second, "
            f"{each.imported / each.alone:.0%}; search p50 {_ms(each.idle, 50)} idle, "
            f"{_ms(each.busy, 50)} during an import"
        )
    alone = statistics.mean(each.alone for each in rounds)
    imported = statistics.mean(each.imported for each in rounds)
    print(f"import: {imported / alone:.0%} of the embedder's own {alone:.1f} photos a second")
    idle = [latency for each in rounds for latency in each.idle]
    busy = [latency for each in rounds for latency in each.busy]
    for name, latencies in (("idle", idle), ("during import", busy)):
        print(f"searches by picture, {name:13}  {_ms(latencies, 50)}, p95 {_ms(latencies, 95)}")
    ratio = np.percentile(busy, 95) / np.percentile(idle, 95)
    print(f"p95 during an import: {ratio:.1f} times the idle one ({len(busy)} searches)")


def _ms(seconds: Sequence[float], percentile: int) -> str:
    return f"{1000 * float(np.percentile(seconds, percentile)):.0f} ms"


def _round(port: int, network: lite0.Lite0, share: Share) -> Round:
    into = {"collection-id": collection(port)}
    alone = own_speed(network, share(IMAGES // 4))
    idle = [load.run(port, [request], 1).latencies[0] for request in _searches(into, share)]
    imported = load.run(port, _inserts(into, share), CONNECTIONS)
    busy = _while_importing(port, _inserts({"collection-id": collection(port)}, share), into, share)
    return Round(alone, BATCH * imported.per_second, idle, busy)


def _while_importing(
    port: int, inserts: Sequence[bytes], into: dict[str, str], share: Share
) -> list[float]:
    """Seconds of searches that began while an import into another collection ran."""
    importing = threading.Thread(target=load.run, args=(port, inserts, CONNECTIONS))
    importing.start()
    time.sleep(0.3)
    latencies: list[float] = []
    for request in _searches(into, share):
        if not importing.is_alive():
            break
        latencies += load.run(port, [request], 1).latencies
    importing.join()
    return latencies


def _inserts(into: dict[str, str], share: Share) -> list[bytes]:
    path = "/similarity/photos/v2/insert"
    begins = range(0, IMAGES, BATCH)
    return [load.post(path, into, records(begin, share(BATCH))) for begin in begins]


def _searches(into: dict[str, str], share: Share) -> list[bytes]:
    path = "/similarity/photos/v2/visualKNN"
    return [load.post(path, into, search(image)) for image in share(SEARCHES)]


def jpegs(count: int) -> list[bytes]:
    """Different crops of the images of rooms, 1,000 pixels wide."""
    images, numbers, made = decoded(rooms(), 480), np.random.default_rng(1), []
    for number in range(count):
        image = images[number % len(images)]
        left, top = (int(part) for part in numbers.integers(0, 60, 2))
        cut = image.crop((left, top, image.width - 60 + left, image.height - 60 + top))
        file = io.BytesIO()
        cut.resize((SIDE_PX, SIDE_PX * cut.height // cut.width)).save(file, "JPEG", quality=88)
        made.append(file.getvalue())
    return made


def own_speed(network: lite0.Lite0, files: Sequence[bytes]) -> float:
    """Images a second of the network alone, in this process, decoded before."""
    images = decoded(files, network.image_px)
    size = network.batch_size
    started = time.perf_counter()
    for begin in range(0, len(images), size):
        network.embed_images(images[begin : begin + size])
    return len(images) / (time.perf_counter() - started)


def records(begin: int, images: Sequence[bytes]) -> bytes:
    return json.dumps(
        {
            "records": [
                {"_id": str(begin + number), "_base64": base64.b64encode(image).decode()}
                for number, image in enumerate(images)
            ]
        }
    ).encode()


def search(image: bytes) -> bytes:
    record = {"_base64": base64.b64encode(image).decode()}
    return json.dumps({"query_record": record, "k": 10}).encode()


def collection(port: int) -> str:
    body = json.dumps({"name": "bench", "type": "photos", "embedder": EMBEDDER}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/similarity/v2/collection/",
        body,
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        id_: str = json.load(response)["id"]
        return id_
