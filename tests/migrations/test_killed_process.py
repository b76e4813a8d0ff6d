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
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from tests.file_server import FileServer
from tests.live import live_server
from tests.service import Service

COUNT = 60
KILLS = 3


def picture(number: int) -> bytes:
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
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._search, self._insert)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _search(self) -> None:
        service = Service(self._url)
        while not self._stop.wait(0.01):
            body = {"query_record": {"_id": "p7"}, "k": 3}
            answer = service.call("visualKNN", self._collection, body)
            self.searches += 1
            if answer.status_code != 200 or answer.json()["answer_records"][0]["_id"] != "p7":
                self.faults.append(answer.text)
        service.close()

    def _insert(self) -> None:
        service, number = Service(self._url), 1000
        while not self._stop.wait(0.3):
            image = base64.b64encode(picture(number)).decode()
            body = {"records": [{"_id": f"p{number}", "_base64": image, "n": number}]}
            answer = service.call("insert", self._collection, body)
            if answer.status_code == 503:
                continue  # Just moving; sent again, as a client would.
            if answer.json()["answer_records"]:
                self.inserted.append(number)
            elif answer.json()["skipped_records"][0]["_status"]["code"] != 211:
                self.faults.append(answer.text)
            number += 1
        service.close()


def migrate(data: Path, collection: str, kill_after: float | None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lookalike", "migrate", "up", collection]
    command += ["--embedder", "phash", "--data", str(data), "--skip-unreadable"]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")}
    process = subprocess.Popen(
        command,
        env=inherited | {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1"},
        cwd=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if kill_after is not None:
        time.sleep(kill_after)
        process.kill()
    process.output = process.communicate()[0]  # type: ignore[attr-defined]
    return process


def test_a_shop_goes_on_while_its_migration_is_killed_and_started_again(
    tmp_path: Path, file_server: FileServer
) -> None:
    chance = random.Random(3)
    with live_server(tmp_path / "data", {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1"}) as live:
        service = Service(live.url)
        collection = service.collection(embedder="colors", type="colors")
        records = [
            {"_id": f"p{n}", "_url": file_server.add(f"/{n}.png", picture(n)), "n": n}
            for n in range(COUNT)
        ]
        for begin in range(0, COUNT, 20):
            service.answer("insert", collection, {"records": records[begin : begin + 20]})
        shop = Shop(live.url, collection)
        for _ in range(KILLS):
            migrate(live.data, collection, chance.uniform(1.0, 7.0))
        done = migrate(live.data, collection, None)
        time.sleep(3)
        shop.close()

        assert done.returncode == 0, done.output  # type: ignore[attr-defined]
        assert shop.faults == []
        assert shop.searches > 100
        view = service.http.get(f"/similarity/v2/collection/{collection}").json()
        assert view["embedder"] == "phash"
        listed = service.answer("allRecords", collection, {"fields_to_return": ["n"]})
        found = sorted(entry["n"] for entry in listed["answer_records"])
        assert found == [*range(COUNT), *shop.inserted], "not one more, nor less"
        # Images that came as bytes before the service knew of the migration are on the list.
        lines = (live.data / "unreadable.jsonl").read_bytes().splitlines()
        unread = [int(msgspec.json.decode(line)["id"][1:]) for line in lines]
        unread.sort()
        assert unread == sorted(shop.inserted)[: len(unread)]
        assert len(shop.inserted) > len(unread) + 3, "the later ones are embedded by both"
        for number in [3, 41, *shop.inserted[len(unread) :: 5]]:
            image = base64.b64encode(picture(number)).decode()
            body = {"query_record": {"_base64": image}, "k": 1}
            answer = service.answer("visualKNN", collection, body)
            assert answer["answer_records"][0]["_id"] == f"p{number}"
            assert answer["answer_distances"][0] == 0

        assert "searched by visual, colors" in command(live.data, "switch", collection)
        assert "visual-2: phash" in command(live.data, "status")
        assert "visual-2 is deleted." in command(live.data, "drop", collection, "--yes")
        assert "Nothing is left to do." in command(live.data, "up", collection)
        assert service.answer("get", collection, {"records": [{"_id": "p7"}]})["answer_records"]
        service.close()


def command(data: Path, *arguments: str) -> str:
    line = [sys.executable, "-m", "lookalike", "migrate", *arguments, "--data", str(data)]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")}
    return subprocess.run(line, env=inherited, check=True, capture_output=True, text=True).stdout
