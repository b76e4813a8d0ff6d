"""Request bodies: from bytes to a msgspec struct, with nothing in between."""

from __future__ import annotations

import functools
import re
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import msgspec.inspect
from litestar.dto import AbstractDTO
from litestar.typing import FieldDefinition

from lookalike.adapter import deadline
from lookalike.adapter.errors import InvalidRequest
from lookalike.api import ignored_fields
from lookalike.api.schemas import OfCollection
from lookalike.api.settings import Settings

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.dto._backend import DTOBackend
    from litestar.dto.data_structures import DTOFieldDefinition
    from litestar.openapi.spec import Reference, Schema

T = TypeVar("T", bound=msgspec.Struct)


_DIGITS = re.compile(r"-?[0-9]{1,18}")
EXACT_BELOW = 2**53
"""Larger doubles stand for several integers."""

_UNKNOWN_FIELD = re.compile("Object contains unknown field `(.*)`")


def decode_body(body: bytes, type_: type[T]) -> T:
    """A JSON body as a struct; an empty one is read as `{}`, as the official client needs it.

    An integer may be written as `5.0` or `"5"`, as languages without integers and forms do, and
    an empty object as `[]`, as PHP does. Raises InvalidRequest with the place of the fault.
    """
    body = body or b"{}"
    try:
        try:
            return msgspec.json.decode(body, type=type_)
        except msgspec.ValidationError:
            # Only now, so that the usual body is decoded once.
            return msgspec.convert(_as_meant(msgspec.json.decode(body), type_), type_)
    except msgspec.ValidationError as error:
        raise _invalid(error, type_) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(str(error), place="$") from None
    except RecursionError:
        raise InvalidRequest("JSON is nested too deeply", place="$") from None


def _as_meant(values: Any, type_: type[msgspec.Struct]) -> Any:
    if not isinstance(values, dict):
        return values
    integers, objects = _integers_and_objects(type_)
    meant = dict(values)
    for name, value in values.items():
        if name in integers:
            meant[name] = _integer(value)
        elif name in objects and value == []:
            meant[name] = {}
    return meant


def _integer(value: Any) -> Any:
    """What stands for an integer as one, all else as it is."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < EXACT_BELOW
    digits = isinstance(value, str) and _DIGITS.fullmatch(value) is not None
    return int(value) if whole or digits else value


@functools.cache
def _integers_and_objects(type_: type[msgspec.Struct]) -> tuple[frozenset[str], frozenset[str]]:
    """The names of a struct's fields that take an integer, and of those that take any object."""
    struct = msgspec.inspect.type_info(type_)
    assert isinstance(struct, msgspec.inspect.StructType)
    kinds = {field.encode_name: set(_kinds(field.type)) for field in struct.fields}
    return (
        frozenset(name for name, found in kinds.items() if msgspec.inspect.IntType in found),
        frozenset(name for name, found in kinds.items() if msgspec.inspect.DictType in found),
    )


def _kinds(info: msgspec.inspect.Type) -> Iterator[type[msgspec.inspect.Type]]:
    if isinstance(info, msgspec.inspect.Metadata):
        yield from _kinds(info.type)
    elif isinstance(info, msgspec.inspect.UnionType):
        for each in info.types:
            yield from _kinds(each)
    else:
        yield type(info)


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


def named_in_headers(headers: Mapping[str, str]) -> str | None:
    """The collection of a request: an id in `collection-id`, or a name in the older `collection`.
    Only without them it is looked for in the body."""
    return headers.get("collection-id") or headers.get("collection")


class JsonBody(AbstractDTO[T]):
    """Litestar's seam for decoding a handler's `data` parameter.

    Litestar's own way decodes to a dict first and converts leniently (`1` passes for true), and it
    refuses empty bodies. The content type is not looked at: clients send JSON under many names.
    """

    def decode_bytes(self, value: bytes) -> T:
        body = decode_body(value, self.model_type)
        known = self.model_type.__struct_encode_fields__
        if named_in_headers(self.asgi_connection.headers) is None:
            known += OfCollection.__struct_encode_fields__
        arguments = self.asgi_connection.route_handler.parsed_fn_signature.parameters
        query = [name for name in self.asgi_connection.query_params if name not in arguments]
        ignored_fields.note(value, known, query, self.asgi_connection.scope["path"])
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
