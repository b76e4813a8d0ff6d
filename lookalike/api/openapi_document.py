"""The OpenAPI document: what Litestar knows of the routes, completed to what is really answered.

The schemas are msgspec's, which have every bound of the types that requests are decoded into.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from litestar import Litestar, Request, Router
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from lookalike.adapter.collections import collection_settings
from lookalike.adapter.search import request as searches
from lookalike.api import schemas
from lookalike.api.openapi_rules import OF_OPERATIONS, of_fields
from lookalike.api.openapi_texts import (
    DESCRIPTION,
    ERRORS,
    EXAMPLES,
    FIELDS,
    TAGS,
    TOKEN_TEXT,
    UUID,
)
from lookalike.api.request_paths import METHODS_ROOT
from lookalike.api.settings import Settings

Json = dict[str, Any]

REF = "#/components/schemas/{name}"
OWN_ROOT = "/similarity/v2/"

OPERATION_IDS = {
    ("get", f"{METHODS_ROOT}/ping"): "pingGet",
    ("get", "/similarity/v2/collection"): "listCollections",
    ("post", "/similarity/v2/collection"): "createCollection",
    ("get", "/similarity/v2/collection/{collection_id}"): "getCollection",
    ("put", "/similarity/v2/collection/{collection_id}"): "putCollection",
    ("patch", "/similarity/v2/collection/{collection_id}"): "changeCollection",
    ("delete", "/similarity/v2/collection/{collection_id}"): "deleteCollection",
    ("get", "/similarity/v2/run-log"): "listRunLogs",
    ("post", "/similarity/v2/run-log"): "createRunLog",
    ("get", "/similarity/v2/run-log/{log_id}"): "getRunLog",
    ("put", "/similarity/v2/run-log/{log_id}"): "changeRunLog",
    ("delete", "/similarity/v2/run-log/{log_id}"): "deleteRunLog",
    ("post", "/account/v2/request"): "submitRequest",
    ("get", "/account/v2/request"): "listRequests",
    ("get", "/account/v2/request/{request_id}"): "getRequest",
    ("get", "/account/v2/request/{request_id}/status"): "getRequestStatus",
    ("get", "/account/v2/config/{kind}"): "getConfig",
    ("get", "/account/v2/user"): "getUser",
    ("get", "/account/v2/details"): "getDetails",
    ("get", "/account/v2/workspace"): "listWorkspaces",
    ("get", "/account/v2/resource"): "listResources",
    ("get", "/account/v2/reports"): "listReports",
}
"""Those of other operations are the last part of their path, which the provider calls them by."""

ANSWERS = ("CollectionView", "SecondVector", "Answer", "ModelAnswer", "ValueCount")
"""Schemas of what is answered, for which no rule of a request holds."""
STREAMED = (f"{METHODS_ROOT}/allRecords", f"{METHODS_ROOT}/allIDs")
"""An answer that is written while it is read is an answer like the others."""

SUCCESS = {"200": "The answer.", "201": "It was made.", "204": "It is gone."}


class ContractDocument(JsonRenderPlugin):
    """Answers the completed document."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Json) -> bytes:
        return self.render_json(request, complete(openapi_schema, request.app))


def document_router() -> Router:
    """Where the document is answered. Litestar answers a page of HTML beside it."""

    async def refuse_others(request: Request[Any, Any, Any]) -> None:
        if request.url.path not in ("/schema", "/schema/openapi.json"):
            raise NotFoundException

    return Router(
        "/schema", route_handlers=[], include_in_schema=False, before_request=refuse_others
    )


def make_document(app: Litestar) -> Json:
    """The document of an application."""
    return complete(app.openapi_schema.to_schema(), app)


def complete(document: Json, app: Litestar) -> Json:
    """A new document; that of Litestar stays as it is."""
    options = {(verb.lower(), path): handler.opt for path, verb, handler in _handlers_of(app)}
    components = _schemas(app.state.settings)
    paths = {
        path: {
            verb: _operation(verb, path, operation, options.get((verb, path), {}), components)
            for verb, operation in operations.items()
        }
        for path, operations in document["paths"].items()
    }
    return {
        "openapi": document["openapi"],
        "info": document["info"]
        | {
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": document["servers"],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {name: components[name] for name in sorted(_named(paths, components))},
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": TOKEN_TEXT,
                }
            },
        },
    }


def _handlers_of(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for verb, (handler, _) in route.route_handler_map.items():
                yield route.path_format, verb, handler


def _named(content: object, components: Mapping[str, Json]) -> set[str]:
    """The schemas that are referred to, and those that these refer to."""
    left, named = [content], set[str]()
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += part
        elif isinstance(part, dict):
            left += part.values()
            ref = part.get("$ref")
            if isinstance(ref, str) and (name := ref.rpartition("/")[2]) not in named:
                named.add(name)
                left.append(components[name])
    return named


def _operation(
    verb: str, path: str, found: Json, opt: Mapping[str, Any], components: Mapping[str, Json]
) -> Json:
    text = found.get("description") or found["summary"]
    operation_id = _operation_id(verb, path)
    body = _body(found, components, OF_OPERATIONS.get(operation_id))
    operation = {
        "operationId": operation_id,
        "tags": found.get("tags") or ["health"],
        "summary": text.partition("\n")[0].rstrip("."),
        "description": text,
        "parameters": list(_parameters(path, found, opt)),
        "responses": _responses(verb, path, found, opt, with_body=body is not None),
    }
    if body is not None:
        operation["requestBody"] = body
    if opt.get("scope") == "public":
        operation["security"] = []
    return operation


def _operation_id(verb: str, path: str) -> str:
    own = OPERATION_IDS.get((verb, path))
    return own or path.removeprefix(METHODS_ROOT).strip("/").replace("/", "_").rpartition("v2_")[2]


def _body(found: Json, components: Mapping[str, Json], rule: Json | None) -> Json | None:
    if "requestBody" not in found:
        return None
    schema = found["requestBody"]["content"]["application/json"]["schema"]
    needed = components[schema["$ref"].rpartition("/")[2]].get("required")
    if rule is not None:
        # Beside the reference and not in `allOf`: makers of clients, which cannot merge the two,
        # pass over what stands beside.
        schema = schema | rule
    return {
        "required": bool(needed) or rule is not None,
        "content": {"application/json": {"schema": schema}},
    }


def _parameters(path: str, found: Json, opt: Mapping[str, Any]) -> Iterator[Json]:
    for parameter in found.get("parameters", ()):
        name = parameter["name"]
        if name == "lookalike-vector" and not opt.get("searches"):
            continue
        needed = parameter["in"] == "path" or name == "collection-id"
        schema = _plain(parameter["schema"])
        if parameter["in"] != "query" and schema["type"] == "string":
            schema["minLength"] = 1
        text, example = PARAMETERS[name]
        if path.startswith("/account/") and name == "request_id":
            schema = {"type": "string", "format": "uuid"}
        yield {
            "name": name,
            "in": parameter["in"],
            "required": needed,
            "description": text,
            "schema": schema,
            "example": example,
        }


PARAMETERS: dict[str, tuple[str, Any]] = {
    "collection-id": ("Id of the collection.", UUID),
    "lookalike-vector": ("Name of the vector to search, where there are two.", "visual"),
    "size": ("Records of a page; without it everything is answered at once.", 100),
    "page": ("Number of the page, from 1 on.", 1),
    "after": ("Where the page begins, as `next` of the page before says.", "MTA"),
    "name": ("Only collections of this name.", "shop"),
    "collection": ("Only those of this collection.", UUID),
    "collection_id": ("Id of the collection, or its name.", UUID),
    "log_id": ("Id of the run log.", UUID),
    "request_id": ("Id of the request.", UUID),
    "kind": ("Any text.", "fashion"),
    "version": ("Any text.", "1"),
}


def _plain(schema: Json) -> Json:
    """Without null, which a parameter cannot be."""
    kinds = [each for each in schema.get("oneOf", [schema]) if each.get("type") != "null"]
    bounds = {name: schema[name] for name in ("minimum", "maximum", "maxLength") if name in schema}
    return {"type": kinds[0]["type"]} | bounds


def _responses(
    verb: str, path: str, found: Json, opt: Mapping[str, Any], *, with_body: bool
) -> Json:
    responses: Json = {
        code: {"description": SUCCESS[code]}
        | ({"content": response["content"]} if "content" in response else {})
        for code, response in found["responses"].items()
        if code in SUCCESS
    }
    if path in STREAMED:
        schema = {"$ref": REF.format(name="Answer")}
        responses["200"]["content"] = {"application/json": {"schema": schema}}
    kind = "Problem" if path.startswith(OWN_ROOT) else "Failure"
    media_type = "application/problem+json" if kind == "Problem" else "application/json"
    codes = _error_codes(verb, found, opt, with_body=with_body)
    if path.startswith(METHODS_ROOT):
        # Each may name a collection, `ping` too.
        codes = sorted({*codes, 400, 404, 409})
    for code in codes:
        content = {media_type: {"schema": {"$ref": REF.format(name=kind)}}}
        responses[str(code)] = {"description": ERRORS[code], "content": content}
    if path == "/readyz":
        responses["503"] = responses["200"] | {"description": "It is starting."}
    return responses


def _error_codes(verb: str, found: Json, opt: Mapping[str, Any], *, with_body: bool) -> list[int]:
    if opt.get("scope") == "public":
        return []
    parameters = {parameter["name"]: parameter["in"] for parameter in found.get("parameters", ())}
    # 400 everywhere: for a parameter that there is not.
    codes = {400, 401, 403, 429, 500, 503}
    if with_body:
        codes |= {408, 413}
    if {"collection-id", "collection"} & parameters.keys() or "path" in parameters.values():
        codes |= {404, 409}
    if opt.get("scope") in ("write", "admin") and verb != "delete":
        codes |= {404, 409, 507}
    return sorted(codes)


def _schemas(settings: Settings) -> Json:
    _, found = msgspec.json.schema_components(_structs(), ref_template=REF)
    found |= copy.deepcopy({"Failure": FAILURE, "Problem": PROBLEM})
    rules = of_fields(settings)
    for title, schema in found.items():
        for name, field in schema.get("properties", {}).items():
            _describe(title, name, field)
            rule = rules.get(f"{title}.{name}", rules.get(name))
            if rule is not None and title not in ANSWERS:
                _bound(field, rule)
    return found


def _bound(field: Json, rule: Json) -> None:
    """What the types do not say; of a list that is said of its items, but for their number."""
    for part in field.get("anyOf", [field]):
        if part.get("type") == "array" and "maxItems" not in rule:
            _bound(part["items"], rule)
        elif part.get("type") != "null" and "$ref" not in part:
            part |= rule | part


def _structs() -> list[type[msgspec.Struct]]:
    modules = (schemas, searches, collection_settings)
    return [
        struct
        for module in modules
        for struct in vars(module).values()
        if isinstance(struct, type)
        and issubclass(struct, msgspec.Struct)
        and struct.__module__ == module.__name__
    ]


def _describe(title: str, name: str, field: Json) -> None:
    text, example = FIELDS.get(name, ("", None))
    field.setdefault("description", text)
    own = EXAMPLES.get(f"{title}.{name}", EXAMPLES.get(name, example))
    field.setdefault("examples", [own])


_STATUS = {"code": {"type": "integer"}, "text": {"type": "string"}, "place": {"type": "string"}}

FAILURE: Json = {
    "title": "Failure",
    "description": "The envelope of an error, and `detail` for clients that look for that.",
    "type": "object",
    "required": ["status", "detail"],
    "properties": {
        "status": {"type": "object", "required": ["code", "text"], "properties": _STATUS},
        "detail": {"type": "string"},
    },
}
PROBLEM: Json = {
    "title": "Problem",
    "description": "An error as RFC 9457 has it.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "const": "about:blank",
            "description": "The status says it all.",
            "examples": ["about:blank"],
        },
        "title": {"type": "string"},
        "status": {"type": "integer", "description": "That of HTTP.", "examples": [404]},
        "detail": {"type": "string"},
        "place": {"type": "string"},
    },
}
