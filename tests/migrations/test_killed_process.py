"""`lookalike migrate up` beside a running service, killed with SIGKILL, several times."""

from __future__ import annotations

import base64
import io
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from tests.file_server import FileServer
from tests.live import LiveServer, live_server, lookalike
from tests.service import Service
from tests.waiting import PATIENCE_SECONDS, wait_until

COUNT = 60
KILLED_AFTER_FETCHES = (1, COUNT // 2, COUNT)


def drawn(number: int) -> bytes:
    file = io.BytesIO()
    tiles = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(tiles).resize((48, 48), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


class Shop:
    """Searches and inserts without a pause, and notes what is not answered as it should be."""

    def __init__(self, url: str, collection: str) -> None:
        self.faults: list[Any] = []
        self.inserted: list[int] = []
        self.searches = 0
        self._url, self._collection = url, collection
        self._next = 1000
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=arguments)
            for arguments in ((self._search, 0.01), (self._insert, 0.3))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, act: Callable[[Service], None], pause_s: float) -> None:
        service = Service(self._url)
        try:
            while not self._stop.wait(pause_s):
                act(service)
        except Exception as error:  # Nobody would see it: the thread is not the test's.
            self.faults.append(error)
        finally:
            service.close()

    def _search(self, service: Service) -> None:
        body = {"query_record": {"_id": "p7"}, "k": 3}
        answer = service.call("visualKNN", self._collection, body)
        self.searches += 1
        if answer.status_code != 200 or answer.json()["answer_records"][0]["_id"] != "p7":
            self.faults.append(answer.text)

    def _insert(self, service: Service) -> None:
        number = self._next
        image = base64.b64encode(drawn(number)).decode()
        body = {"records": [{"_id": f"p{number}", "_base64": image, "n": number}]}
        answer = service.call("insert", self._collection, body)
        if answer.status_code == 503:
            return  # Just moving; sent again, as a client would.
        self._next += 1
        if answer.json()["answer_records"]:
            self.inserted.append(number)
        elif answer.json()["skipped_records"][0]["_reason"]["status"]["code"] != 211:
            self.faults.append(answer.text)


def migrate(data: Path, collection: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lookalike", "migrate", "up", collection]
    command += ["--embedder", "phash", "--data", str(data), "--skip-unreadable", "90%"]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")}
    return subprocess.Popen(
        command,
        env=inherited | {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1"},
        cwd=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_after(process: subprocess.Popen[str], reached: Callable[[], bool], later_s: float) -> None:
    """Kills the process that long after it has reached a point, unless it has ended before."""
    wait_until(lambda: reached() or process.poll() is not None, "the migration has got that far")
    time.sleep(later_s)
    process.kill()
    process.communicate()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    with live_server(tmp_path / "data", {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1"}) as server:
        yield server


@pytest.fixture
def service(live: LiveServer) -> Iterator[Service]:
    service = Service(live.url)
    yield service
    service.close()


def test_a_shop_goes_on_while_its_migration_is_killed_and_started_again(
    live: LiveServer, service: Service, file_server: FileServer
) -> None:
    chance = random.Random(3)
    collection = service.collection(embedder="colors", type="colors")
    records = [
        {"_id": f"p{n}", "_url": file_server.add(f"/{n}.png", drawn(n)), "n": n}
        for n in range(COUNT)
    ]
    for begin in range(0, COUNT, 20):
        service.answer("insert", collection, {"records": records[begin : begin + 20]})
    before = len(file_server.requests)
    shop = Shop(live.url, collection)
    for fetches in KILLED_AFTER_FETCHES:
        reached = partial(file_server.has_served, before + fetches)
        kill_after(migrate(live.data, collection), reached, chance.uniform(0, 2))
    done = migrate(live.data, collection)
    output, _ = done.communicate(timeout=PATIENCE_SECONDS)
    inserted = len(shop.inserted)
    wait_until(
        lambda: shop.faults or (len(shop.inserted) >= inserted + 8 and shop.searches > 100),
        "the shop goes on when the migration is done",
    )
    shop.close()

    assert done.returncode == 0, output
    assert shop.faults == []
    assert service.view(collection)["embedder"] == "phash"
    check_records(service, collection, shop.inserted)
    check_unreadable(live.data / "unreadable.jsonl", service, collection, shop.inserted)
    check_way_back(live.data, collection)
    assert service.answer("get", collection, {"records": [{"_id": "p7"}]})["answer_records"]


def check_records(service: Service, collection: str, inserted: Sequence[int]) -> None:
    listed = service.answer("allRecords", collection, {"fields_to_return": ["n"]})
    found = sorted(entry["n"] for entry in listed["answer_records"])
    assert found == [*range(COUNT), *inserted], "not one more, nor less"


def check_unreadable(
    file: Path, service: Service, collection: str, inserted: Sequence[int]
) -> None:
    """Images that came as bytes before the service knew of the migration are on the list."""
    lines = file.read_bytes().splitlines()
    unread = sorted(int(msgspec.json.decode(line)["id"][1:]) for line in lines)
    assert unread == sorted(inserted)[: len(unread)]
    assert len(inserted) > len(unread) + 3, "the later ones are embedded by both"
    for number in [3, 41, *inserted[len(unread) :: 5]]:
        image = base64.b64encode(drawn(number)).decode()
        body = {"query_record": {"_base64": image}, "k": 1}
        answer = service.answer("visualKNN", collection, body)
        assert answer["answer_records"][0]["_id"] == f"p{number}"
        assert answer["answer_distances"][0] == 0


def check_way_back(data: Path, collection: str) -> None:
    for arguments, said in (
        (("switch", collection), "searched by visual, colors"),
        (("status",), "visual-2: phash"),
        (("drop", collection, "--yes"), "visual-2 is deleted."),
        (("up", collection), "Nothing is left to do."),
    ):
        ran = lookalike("migrate", *arguments, "--data", str(data))
        assert ran.returncode == 0, ran.stderr
        assert said in ran.stdout
