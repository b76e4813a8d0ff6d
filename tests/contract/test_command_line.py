"""The command line beside a service that runs, and without one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.conftest import Connect, NewServer
from tests.live import LiveServer, lookalike
from tests.service import Service
from tests.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_collections_on_the_command_line(
    running: bool,
    server: LiveServer,
    service: Service,
    demo_wheel: Path,
    tmp_path: Path,
    image: str,
) -> None:
    folder = server.data if running else tmp_path / "data"
    data = ("--data", str(folder))
    made = lookalike(
        *("collections", "create", "My shop", "--type", "products"),
        *("--index", "price", "--index", "color"),
        *("--product-id-field", "sku", "--capacity", "7", *data),
    )
    assert made.returncode == 0, made.stderr
    view = json.loads(made.stdout)
    assert view["name"] == "My shop"
    assert view["type"] == "products"
    assert [index["field"] for index in view["fields_to_index"]] == ["price", "color", "sku"]
    assert view["capacity"] == 7
    assert json.loads(lookalike("collections", "show", "My shop", *data).stdout) == view
    if running:
        assert service.view(view["id"]) == view
        service.load(view["id"], [{"_id": "1", "_base64": image}])
    else:
        demo = lookalike("demo", str(demo_wheel), environment={"LOOKALIKE_DATA": str(folder)})
        assert "no demo collection is made" in demo.stdout, "not beside other collections"
    export = ("export", view["id"], "shop.jsonl", *data)
    assert lookalike(*export, folder=tmp_path).returncode == 0
    again = lookalike(*export, folder=tmp_path)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "Error: shop.jsonl exists already; --force replaces it.\n"
    line = [view["id"], "products", str(int(running)), "My", "shop"]
    listed = lookalike("collections", "list", *data).stdout.splitlines()
    assert line in [each.split() for each in listed]
    assert running or len(listed) == 1

    unknown = lookalike("collections", "show", "nothing", *data)
    assert unknown.returncode == 1
    assert unknown.stderr == "Error: Collection not found.\n"
    by_name = lookalike("collections", "delete", "My shop", "--yes", *data)
    assert by_name.returncode == 1
    gone = lookalike("collections", "delete", view["id"], "--yes", *data)
    assert gone.returncode == 0, gone.stderr
    left = lookalike("collections", "list", *data).stdout
    assert view["id"] not in left
    if running:
        assert service.call("allRecords", view["id"]).status_code == 404
    else:
        assert left == ""


def test_the_demo_and_the_line_that_it_prints(
    new_server: NewServer, connect: Connect, demo_wheel: Path
) -> None:
    server = new_server()
    environment = {"LOOKALIKE_PORT": str(server.port), "LOOKALIKE_DATA": str(server.data)}
    first = lookalike("demo", str(demo_wheel), environment=environment)
    assert first.returncode == 0, first.stderr
    collection = re.findall(r"Demo collection: (\S+)", first.stdout)[0]
    (line,) = (line for line in first.stdout.splitlines() if "curl" in line)
    again = lookalike("demo", str(demo_wheel), environment=environment)
    assert again.returncode == 0
    assert line in again.stdout

    server.start()
    client = connect(server.url)
    assert client.http.get("/similarity/v2/collection/").json()["count"] == 1
    assert client.answer("allRecords", collection)["answer_count"] == 45
    assert shutil.which("curl"), "curl is needed to try the printed line"
    printed = subprocess.run(
        ["sh", "-c", line], capture_output=True, timeout=PATIENCE_SECONDS, check=True
    )
    answer = json.loads(printed.stdout)
    assert answer["status"] == {"code": 200, "text": "OK"}
    assert answer["answer_count"] == 5
    assert answer["answer_records"][0]["_id"] == "1"
    assert answer["answer_records"][0].keys() == {"_id", "name", "category", "price"}
    running = lookalike("demo", str(demo_wheel), environment=environment)
    assert line in running.stdout


def test_help_is_there() -> None:
    for command in ((), ("serve",), ("collections", "create")):
        shown = lookalike(*command, "--help")
        assert shown.returncode == 0
        assert "Usage:" in shown.stdout
    assert lookalike("--version").stdout
