"""Request bodies: from bytes to a msgspec struct, with nothing in between."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from litestar.dto import AbstractDTO
from litestar.typing import FieldDefinition

from lookalike.adapter import deadline
from lookalike.adapter.errors import InvalidRequest
from lookalike.api.settings import Settings

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.dto._backend import DTOBackend
    from litestar.dto.data_structures import DTOFieldDefinition
    from litestar.openapi.spec import Reference, Schema

T = TypeVar("T")

_UNKNOWN_FIELD = re.compile("Object contains unknown field `(.*)`")


def decode_body(body: bytes, type_: type[T]) -> T:
    """A JSON body as a struct; an empty one is read as `{}`, as the official client needs it.

    Raises InvalidRequest with the place of the fault.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=type_)
    except msgspec.ValidationError as error:
        raise _invalid(error, type_) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(str(error), place="$") from None
    except RecursionError:
        raise InvalidRequest("JSON is nested too deeply", place="$") from None


def convert_body(values: object, type_: type[T]) -> T:
    """The same from values that are not JSON. Raises InvalidRequest with the place of the fault."""
    try:
        return msgspec.convert(values, type_)
    except msgspec.ValidationError as error:
        raise _invalid(error, type_) from None


def _invalid(error: msgspec.ValidationError, type_: type[Any]) -> InvalidRequest:
    text, _, place = str(error).partition(" - at `")
    unknown = _UNKNOWN_FIELD.fullmatch(text)
    if unknown and not place and unknown[1] in getattr(type_, "FIXED", ()):
        return InvalidRequest(
            f"{unknown[1]} cannot be changed: {type_.FIXED[unknown[1]]}", place=f"$.{unknown[1]}"
        )
    return InvalidRequest(text, place=place.rstrip("`") or "$")


def _limit_fetches(timeout_s: float | None, most_s: float) -> None:
    """As the field `timeout_s` asks, in every body that has it."""
    if timeout_s is None:
        return
    if timeout_s > most_s:
        raise InvalidRequest(f"timeout_s must not be larger than {most_s:g}", place="$.timeout_s")
    deadline.limit_fetches(timeout_s)


class JsonBody(AbstractDTO[T]):
    """Litestar's seam for decoding a handler's `data` parameter.

    Litestar's own way decodes to a dict first and converts leniently (`"5"` passes for 5), and it
    refuses empty bodies. The content type is not looked at: clients send JSON under many names.
    """

    def decode_bytes(self, value: bytes) -> T:
        body = decode_body(value, self.model_type)
        settings: Settings = self.asgi_connection.app.state.settings
        _limit_fetches(getattr(body, "timeout_s", None), settings.images.fetch_timeout_s)
        return body

    @classmethod
    def create_for_field_definition(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,
        backend_cls: type[DTOBackend] | None = None,
    ) -> None:
        """There is no generated backend to prepare."""

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(
        cls, model_type: type[Any]
    ) -> Generator[DTOFieldDefinition, None, None]:
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        return False
