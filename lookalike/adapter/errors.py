"""Everything that can go wrong with a request, as one tree.

    LookalikeError
    ├── InvalidRequest          400  the body or a parameter is wrong; `place` names where
    │   ├── ImageRefused        400  the image of a query cannot be had; `code` says why
    │   ├── InvalidFilter       400  a filter that is refused: operator, operand or size
    │   └── FilterTooExpensive  400  an exact answer would need more work than the documented bound
    ├── Unauthorized            401  no token, or not a valid one
    ├── Forbidden               403  a valid token without the right
    ├── CollectionNotFound      404  no collection has this id or name
    ├── RunLogNotFound          404  no run log has this id
    ├── RecordsNotFound         404  an outcome of the engine: in the envelope, with HTTP 200
    ├── CollectionConflict      409  what is asked does not fit the collection, or its name is taken
    ├── BodyTooSlow             408  the body of the request does not arrive
    ├── BodyTooLarge            413  more bytes than a request may have
    ├── EngineFailed            500  the engine refused what we believed to be valid: a bug of ours
    ├── EmbedderFailed          500  the embedder cannot be loaded, or broke its protocol
    ├── NotSupported            501  a method of the provider that this service does not have
    └── Unavailable             503  a retry helps
        ├── EngineUnavailable   503  the engine is starting, restarting or out of reach
        ├── DiskFull            507  nothing can be added until the disk has room again
        └── TooManyRequests     429  one caller has its share of what all use
    RecordRefused                    one record of a batch is not taken; the others are
    ├── DuplicateRecord         211  its `_id` exists
    ├── NearDuplicate           211  another record is as good as the same
    └── CapacityExceeded        412  the collection is full

Rooms add leaves of their own, caught where they are raised or shown as their parent: `NotSent` (of
EngineUnavailable), `ArchiveDamaged` (of InvalidRequest), and of CollectionConflict `NotVerified`,
`NameTaken` and `AmbiguousName`.

Each class carries the provider's code, the HTTP status and whether a retry helps. Messages name
the place of a fault in the request and never repeat a value: values belong to the user.
"""

from __future__ import annotations

from typing import ClassVar, Self


class LookalikeError(Exception):
    """A request that gets no answer but an error.

    `code` is the provider's status code in the envelope, `http_status` that of the transport,
    `retry` whether the same request may succeed later, `place` a path in the request such as
    `$.filter.price.$gt`, or None.
    """

    code: int = 500
    http_status: ClassVar[int] = 500
    retry: ClassVar[bool] = False
    default_text: ClassVar[str] = ""

    def __init__(self, text: str | None = None, *, place: str | None = None) -> None:
        self.text = self.default_text if text is None else text
        super().__init__(self.text)
        self.place = place

    def __str__(self) -> str:
        return f"{self.text} (at {self.place})" if self.place else self.text


class InvalidRequest(LookalikeError):
    code = http_status = 400


class InvalidFilter(InvalidRequest):
    """A filter that is refused as a whole; `place` starts at `$.filter`."""


class ImageRefused(InvalidRequest):
    """The image of a query cannot be had. One that cannot be read is the request's fault, 400; for
    one that was not fetched, `code` is that of a record in a batch."""

    @classmethod
    def of(cls, refusal: RecordRefused, place: str) -> Self:
        error = cls(refusal.text, place=place)
        if refusal.code != RecordRefused.UNREADABLE:
            error.code = refusal.code
        return error


class FilterTooExpensive(InvalidRequest):
    """The filter is valid, but deciding it exactly would take more work than is allowed."""


class Unauthorized(LookalikeError):
    code = http_status = 401


class Forbidden(LookalikeError):
    code = http_status = 403


class CollectionNotFound(LookalikeError):
    code = http_status = 404
    default_text = "Collection not found."


class RunLogNotFound(LookalikeError):
    code = http_status = 404
    default_text = "Run log not found."


class RecordsNotFound(LookalikeError):
    """No such record: an answer of the search engine, not a fault of the transport."""

    code = 404
    http_status = 200
    default_text = "records not found"


class CollectionConflict(LookalikeError):
    code = http_status = 409


class BodyTooSlow(LookalikeError):
    code = http_status = 408


class BodyTooLarge(LookalikeError):
    code = http_status = 413


class EngineFailed(LookalikeError):
    code = http_status = 500


class EmbedderFailed(LookalikeError):
    code = http_status = 500


class NotSupported(LookalikeError):
    code = http_status = 501


class Unavailable(LookalikeError):
    """`retry_after_s`: the seconds after which a retry may help."""

    code = http_status = 503
    retry = True

    def __init__(self, text: str, *, place: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(text, place=place)
        self.retry_after_s = retry_after_s


class EngineUnavailable(Unavailable):
    """The engine is starting, restarting or out of reach; nothing is known of a write in flight."""


class DiskFull(Unavailable):
    """Searches and deletes go on."""

    code = http_status = 507

    def __init__(self, text: str, *, place: str | None = None, retry_after_s: int = 30) -> None:
        super().__init__(text, place=place, retry_after_s=retry_after_s)


class TooManyRequests(Unavailable):
    code = http_status = 429


class RecordRefused(Exception):
    """One record of a batch is not taken. It comes back in `skipped_records` with this reason.

    `code`: 400 the metadata cannot be kept, 422 the image cannot be read, 504 it cannot be
    fetched, 410 it is gone, 403 its server refuses it, 503 its server is busy, 412 the collection
    is full, 211 a record with this `_id` exists.
    """

    UNREADABLE = 422

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class DuplicateRecord(RecordRefused):
    """The code is 211 although nothing was inserted: the official client counts it as skipped."""

    CODE = 211

    def __init__(self) -> None:
        super().__init__(self.CODE, "record duplicate")


class NearDuplicate(RecordRefused):
    """`near`: the `_id`s and distances of records that are as good as the same, nearest first."""

    def __init__(self, near: list[tuple[str, float]]) -> None:
        super().__init__(DuplicateRecord.CODE, "near duplicate")
        self.near = near


class CapacityExceeded(RecordRefused):
    """The collection has as many records as its settings allow."""

    CODE = 412

    def __init__(self) -> None:
        super().__init__(self.CODE, "hard capacity exceeded")
