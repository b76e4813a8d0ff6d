"""The values of indexed fields, remembered so that a facet can be counted value by value.

The engine counts the values of a field in one call over all points. To count the points of each
value takes as long in all and can be paused after each; for that the values must be known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import qdrant_edge as edge

MOST_VALUES = 2_000
"""Of one field. With more, it is faster to read the field of every point."""


class FacetValues:
    """Field -> its strings, of the fields that were counted once; None where there are too many.

    May hold values that no point has any more.
    """

    def __init__(self) -> None:
        self._known: dict[str, set[str] | None] = {}

    def of(self, field: str, shard: edge.EdgeShard) -> set[str] | None:
        """Asks the engine the first time. Raises what it raises for a field without an index."""
        if field not in self._known:
            hits = shard.facet(edge.FacetRequest(field, MOST_VALUES + 1, True, None)).hits
            values = {str(hit.value) for hit in hits}
            self._known[field] = values if len(values) <= MOST_VALUES else None
        return self._known[field]

    def note(self, payloads: Iterable[dict[str, Any]]) -> None:
        """Points are written with these payloads."""
        fields = [field for field, values in self._known.items() if values is not None]
        for payload in payloads if fields else ():
            for field in fields:
                self._add(field, strings_at(payload, field))

    def _add(self, field: str, strings: set[str]) -> None:
        values = self._known[field]
        if values is not None:
            values |= strings
            if len(values) > MOST_VALUES:
                self._known[field] = None


def is_top_level(path: str) -> bool:
    """Whether a path, as `validation.check_path` has passed it, is the name of one field."""
    quoted = path[0] == '"' and path.index('"', 1) == len(path) - 1
    return quoted or not set(path) & set('."[')


def strings_at(payload: dict[str, Any], field: str) -> set[str]:
    """The strings that a keyword index finds at a field of a payload."""
    value = payload.get(field.strip('"'))
    values = value if isinstance(value, list) else [value]
    return {each for each in values if isinstance(each, str)}
