"""How much one request may ask for and carry."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from lookalike.adapter.errors import InvalidRequest

Positive = Annotated[int, Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The same for every collection; an operator may change them (`api.settings`)."""

    max_records: Positive = 100
    """Most records in one request."""
    max_results: Positive = 10_000
    """Larger `k`, `count` and `size` are cut to this."""

    def check_batch(self, size: int, place: str) -> None:
        """Raises InvalidRequest at `place` for more than `max_records`."""
        if size > self.max_records:
            raise InvalidRequest(f"A request has at most {self.max_records} records", place=place)
