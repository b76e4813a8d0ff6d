"""docs/openapi.json is the document that the service answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.openapi_contract import Json, document

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_file_is_the_document() -> None:
    """Made anew by `python -m tests.docs.test_openapi_file`."""
    assert json.loads(FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(document()))


def test_every_field_has_a_text_and_an_example() -> None:
    without = [
        (schema, name)
        for schema, content in document()["components"]["schemas"].items()
        for name, field in content.get("properties", {}).items()
        if not field.get("description") or "examples" not in field
    ]
    assert without == []


def operations() -> list[Json]:
    return [operation for verbs in document()["paths"].values() for operation in verbs.values()]


def test_operations_are_named_as_the_provider_names_its_methods() -> None:
    ids = [operation["operationId"] for operation in operations()]
    assert len(set(ids)) == len(ids)
    assert {"insert", "visualKNN", "allRecords", "deleteByFilter", "nearDupsInsert"} <= set(ids)


@pytest.mark.parametrize("code", ["401", "403", "429", "500", "503"])
def test_every_operation_tells_its_errors(code: str) -> None:
    guarded = [operation for operation in operations() if operation.get("security") != []]
    assert all(code in operation["responses"] for operation in guarded)
    assert len(guarded) > 40


if __name__ == "__main__":
    text = json.dumps(document(), indent=1, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")
