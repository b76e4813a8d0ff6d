"""Where images come from when a collection is embedded anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records.bookkeeping import CROP
from lookalike.adapter.records.image_sources import ImageSource
from lookalike.adapter.records.points import record_id


class GivenRecords:
    """Records given again, one JSON object a line, with `_id` and `_base64` or `_url`.

    Only the places of the lines are kept in memory. Raises InvalidRequest for a line that is none.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._places: dict[str, int] = {}
        if file is None:
            return
        with open(file, "rb") as lines:
            place = 0
            for number, line in enumerate(lines, 1):
                if line.strip():
                    self._places[_id(line, f"line {number}")] = place
                place += len(line)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._places

    def find_source(self, payload: dict[str, Any]) -> ImageSource:
        """The image of a stored record: the one given again, or else its stored `_url`; of either
        the part that counted when the record was inserted, unless the one given again names one.

        Raises RecordRefused (400) where there is neither.
        """
        crop = (payload.get(RESERVED_KEY) or {}).get(CROP)
        given = self._read_given(str(payload.get("_id"))) or payload
        source = ImageSource.of({"_crop": crop} | given)
        if source is None:
            raise RecordRefused(400, "the record has no _url, and was not given again")
        return source

    def _read_given(self, id_: str) -> dict[str, Any] | None:
        place = self._places.get(id_)
        if self._file is None or place is None:
            return None
        with open(self._file, "rb") as lines:
            lines.seek(place)
            record: dict[str, Any] = msgspec.json.decode(lines.readline())
        return record


def _id(line: bytes, place: str) -> str:
    try:
        record = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        raise InvalidRequest("not a JSON object", place=place) from None
    return record_id(record.get("_id"), place)
