"""Two clients against a dictionary: whatever they do, what is read is what was acknowledged.

Hypothesis makes up what they do and, where something is wrong, finds the shortest way to it. The
connection breaks now and then before an answer is read: then its client does not know whether the
write has happened, and sending it again must be harmless.
"""

from __future__ import annotations

import base64
import io
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from PIL import Image

from tests.live import LiveServer
from tests.service import Service

IDS = st.sampled_from([str(number) for number in range(8)])
COLOURS = st.integers(0, 5)
PRICES = st.integers(0, 3)
CLIENTS = st.integers(0, 1)


def picture(colour: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (colour * 50, 255 - colour * 50, 90)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


class Shop(RuleBasedStateMachine):
    """`stored`: what must be there, by id."""

    server: LiveServer

    def __init__(self) -> None:
        super().__init__()
        self.clients = [Service(self.server.url), Service(self.server.url)]
        self.stored: dict[str, dict[str, Any]] = {}

    @initialize(product=st.booleans())
    def make(self, product: bool) -> None:
        field = {"product_id_field": "colour"} if product else {}
        indexed = {"fields_to_index": ["price"]} if product else {}
        self.collection = self.clients[0].collection(embedder="colors", **field, **indexed)

    def teardown(self) -> None:
        self.clients[0].http.delete(f"/similarity/v2/collection/{self.collection}")
        for client in self.clients:
            client.close()

    def record(self, id_: str, colour: int, price: int) -> dict[str, Any]:
        return {"_id": id_, "colour": f"c{colour}", "price": price, "_base64": picture(colour)}

    def ask(self, client: int, method: str, body: dict[str, Any], cut: bool = False) -> Any:
        if cut:
            self._lose_the_answer(method, body)
        return self.clients[client].answer(method, self.collection, body)

    def _lose_the_answer(self, method: str, body: dict[str, Any]) -> None:
        address = urlsplit(self.server.url)
        content = json.dumps(body).encode()
        head = (
            f"POST /similarity/photos/v2/{method} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"collection-id: {self.collection}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(head.encode() + content)
            connection.recv(1)  # It is done, and not only under way beside the next one.

    @rule(client=CLIENTS, id_=IDS, colour=COLOURS, price=PRICES)
    def insert(self, client: int, id_: str, colour: int, price: int) -> None:
        record = self.record(id_, colour, price)
        answer = self.ask(client, "insert", {"records": [record]})
        new = id_ not in self.stored
        assert answer["status"]["code"] == (210 if new else 411)
        if new:
            del record["_base64"]
            self.stored[id_] = record

    @rule(client=CLIENTS, ids=st.lists(IDS, max_size=5), colour=COLOURS, price=PRICES)
    def insert_several(self, client: int, ids: list[str], colour: int, price: int) -> None:
        records = [self.record(id_, colour, price) for id_ in ids]
        answer = self.ask(client, "insert", {"records": records})
        new = [id_ for id_ in dict.fromkeys(ids) if id_ not in self.stored]
        assert [record["_id"] for record in answer["answer_records"]] == new
        assert len(answer.get("skipped_records", [])) == len(ids) - len(new)
        for id_ in new:
            self.stored[id_] = {"_id": id_, "colour": f"c{colour}", "price": price}

    @rule(client=CLIENTS, id_=IDS, colour=COLOURS, price=PRICES)
    def insert_again_after_a_cut(self, client: int, id_: str, colour: int, price: int) -> None:
        if id_ in self.stored:
            return
        record = self.record(id_, colour, price)
        answer = self.ask(client, "insert", {"records": [record]}, cut=True)
        assert answer["status"]["code"] in (210, 411)
        self.stored[id_] = {"_id": id_, "colour": f"c{colour}", "price": price}

    @rule(client=CLIENTS, id_=IDS, price=PRICES, cut=st.booleans())
    def update(self, client: int, id_: str, price: int, cut: bool) -> None:
        body = {"records": [{"_id": id_, "price": price}]}
        answer = self.ask(client, "update", body, cut)
        assert answer["status"]["code"] == (200 if id_ in self.stored else 404)
        if id_ in self.stored:
            self.stored[id_]["price"] = price

    @rule(client=CLIENTS, id_=IDS, colour=COLOURS)
    def change_the_picture(self, client: int, id_: str, colour: int) -> None:
        change = {"_id": id_, "colour": f"c{colour}", "_base64": picture(colour)}
        self.ask(client, "update", {"records": [change]})
        if id_ in self.stored:
            self.stored[id_]["colour"] = f"c{colour}"

    @rule(client=CLIENTS, ids=st.lists(IDS, min_size=1, max_size=4), cut=st.booleans())
    def delete(self, client: int, ids: list[str], cut: bool) -> None:
        body = {"records": [{"_id": id_} for id_ in ids]}
        answer = self.ask(client, "delete", body, cut)
        gone = [id_ for id_ in dict.fromkeys(ids) if id_ in self.stored]
        found = [record["_id"] for record in answer["answer_records"]]
        # Of two deletes of which one was cut off, either may have found them.
        assert set(found) <= set(gone) if cut else found == gone
        for id_ in gone:
            del self.stored[id_]

    @rule(client=CLIENTS, price=PRICES)
    def delete_by_filter(self, client: int, price: int) -> None:
        self.ask(client, "deleteByFilter", {"filter": {"price": price}})
        self.stored = {i: r for i, r in self.stored.items() if r["price"] != price}

    @rule(client=CLIENTS, price=PRICES)
    def list_by_filter(self, client: int, price: int) -> None:
        body = {"filter": {"price": {"$gte": price}}, "fields_to_return": ["*"]}
        found = self.ask(client, "allRecords", body)["answer_records"]
        assert by_id(found) == {i: r for i, r in self.stored.items() if r["price"] >= price}

    @rule(client=CLIENTS, colour=COLOURS)
    def search(self, client: int, colour: int) -> None:
        body = {"query_record": {"_base64": picture(colour)}, "k": 100, "group_by": ""}
        answer = self.ask(client, "visualKNN", body | {"fields_to_return": ["*"]})
        assert by_id(answer["answer_records"]) == self.stored
        same = {i for i, r in self.stored.items() if r["colour"] == f"c{colour}"}
        nearest = {record["_id"] for record in answer["answer_records"][: len(same)]}
        assert nearest == same, "a picture of this colour is nearer than any other"

    @invariant()
    def both_read_what_was_written(self) -> None:
        if not hasattr(self, "collection"):
            return
        body = {"records": [{"_id": str(n)} for n in range(8)], "fields_to_return": ["*"]}
        for client in (0, 1):
            assert by_id(self.ask(client, "get", body)["answer_records"]) == self.stored
            ping = self.ask(client, "ping", {})
            assert ping["statistics"]["total_records"] == len(self.stored)


def by_id(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {record["_id"]: record for record in records}
    assert len(found) == len(records), "no record comes twice"
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_two_clients_and_a_dictionary(processes: int, new_server: Any) -> None:
    server = new_server()
    server.start("--workers", str(processes))
    machine: Any = type("ShopOfServer", (Shop,), {"server": server})
    machine.TestCase.settings = settings(
        max_examples=12,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    machine.TestCase("runTest").runTest()
