"""What the types of bodies do not say, as JSON Schema: forms that are checked later, and bounds
that are settings.

What depends on a collection is not here, nor whether a picture can be had.
"""

from __future__ import annotations

import sys
import unicodedata
from typing import Any

from lookalike.adapter.collections.fetch_headers import MAX_HEADERS, MAX_ORIGINS, REFUSED
from lookalike.adapter.filters.field_paths import MAX_PATH_CHARS, MAX_STEPS
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records.points import MAX_RECORD_ID_CHARACTERS
from lookalike.adapter.search.image_matching import HASH_BITS
from lookalike.api.routes.image_methods import HASH_TYPE
from lookalike.api.settings import Settings
from lookalike.embedders.registry import installed

Json = dict[str, Any]

# Operations

_ID: Json = {"type": ["string", "integer"], "minLength": 1, "maxLength": MAX_RECORD_ID_CHARACTERS}
_TEXT: Json = {"type": "string", "minLength": 1}
_WORDS: Json = {"type": "string", "pattern": r"\S"}
_STORED: Json = {"type": "object", "required": ["_id"], "properties": {"_id": _ID}}
_LOOKED_FOR: Json = {
    "type": "object",
    "properties": {"_id": _ID, "_url": _TEXT, "_base64": _TEXT, "_text_data": _WORDS},
    "anyOf": [{"required": [name]} for name in ("_id", "_url", "_base64", "_text_data")],
}
_LIST: Json = {"type": "array", "minItems": 1, "items": _LOOKED_FOR}


def _needs(**fields: Json) -> Json:
    return {"type": "object", "required": list(fields), "properties": fields}


_ONE_QUERY: Json = {
    "anyOf": [
        _needs(query_record=_LOOKED_FOR),
        _needs(query_records=_LIST),
        _needs(positive=_LIST),
    ]
}

OF_OPERATIONS: dict[str, Json] = {
    "get": _needs(records={"type": "array", "items": _STORED}),
    "delete": _needs(records={"type": "array", "items": _STORED}),
    "deleteByFilter": _needs(filter={"type": "object", "minProperties": 1}),
    "visualKNN": _ONE_QUERY,
    "visualTagsKNN": _ONE_QUERY,
    "nearDuplicates": _ONE_QUERY,
    "visualRange": {"allOf": [_ONE_QUERY, _needs(radius={"type": "number"})]},
    "text": _needs(query_record=_needs(_text_data=_WORDS)),
    "visualRankRecords": _needs(query_record=_LOOKED_FOR),
    "rank_images": _needs(query_record=_LOOKED_FOR),
    "product_search": _needs(records=_LIST),
}
"""What an operation asks of its body, beside the schema that it shares with others."""

# Fields


def _ranges(categories: tuple[str, ...]) -> str:
    """The characters of these categories, as they are written in a class of a pattern."""
    found: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in categories or character.isspace():
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(
        rf"\u{first:04x}" + ("" if first == last else rf"-\u{last:04x}")
        for first, last in found
        if last < 0x10000  # What lies beyond is rare, and written in other ways elsewhere.
    )


_PATH: Json = {
    "pattern": rf'^(?!{RESERVED_KEY}(\.|$))[^."\\]+(\.[^."\\]+){{0,{MAX_STEPS - 1}}}$',
    "maxLength": MAX_PATH_CHARS,
}
_REFUSED = "|".join(
    "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in name) for name in sorted(REFUSED)
)
_HEADERS: Json = {
    "maxProperties": MAX_ORIGINS,
    "propertyNames": {"pattern": r"^https?://[a-z0-9]+(\.[a-z0-9]+)*(:[1-9][0-9]{0,3})?$"},
    "additionalProperties": {
        "type": "object",
        "maxProperties": MAX_HEADERS,
        "propertyNames": {"pattern": rf"^(?!({_REFUSED})$)[0-9A-Za-z_-]{{1,64}}$"},
        "additionalProperties": {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$"},
    },
}
_NAME: Json = {
    "pattern": f"[^{_ranges(('Cc', 'Cf'))}]",
    "not": {"pattern": r"^\s*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\s*$"},
}


def of_fields(settings: Settings) -> dict[str, Json]:
    """By the name of a field, or of one of a schema; for its items where it is a list of texts."""
    most = {"maxItems": settings.limits_in_force.max_records}
    lacking = {"clip": not settings.clip.model, "remote": not settings.remote.url}
    embedders = [point.name for point in installed() if not lacking.get(point.name)]
    return {
        "timeout_s": {"maximum": settings.images.fetch_timeout_s},
        "hash_type": {"enum": [HASH_TYPE]},
        "fields_to_index": _PATH,
        "IndexedField.field": _PATH,
        "product_id_field": _PATH,
        "fetch_headers": _HEADERS,
        "name": _NAME,
        "embedder": {"enum": embedders},
        "RemoveDuplicates.radius": {"maximum": HASH_BITS},
        "records": most,
        "query_records": most,
        "positive": most,
        "negative": most,
    }
