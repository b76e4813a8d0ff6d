"""Every answer that a test gets, held against the OpenAPI document."""

from __future__ import annotations

import functools
import re
import warnings
from typing import Any
from urllib.parse import unquote

import httpx
import jsonschema_rs
from litestar.exceptions import LitestarDeprecationWarning

from lookalike.api.app import create_app
from lookalike.api.openapi_document import make_document
from lookalike.api.request_paths import canonical
from lookalike.api.settings import Settings

Json = dict[str, Any]


@functools.cache
def document() -> Json:
    with warnings.catch_warnings():
        # What Litestar 3 will not infer any more; this is version 2.
        warnings.simplefilter("ignore", LitestarDeprecationWarning)
        return make_document(create_app(Settings()))


def check_described(response: httpx.Response) -> None:
    """The status and the body are those that the document has for the operation.

    Paths and verbs that are none of the service's are no operations.
    """
    request = response.request
    path, _ = canonical(unquote(request.url.path))
    template = _template_of(path)
    operation = document()["paths"].get(template, {}).get(request.method.lower())
    if operation is None:
        return
    status = str(response.status_code)
    if status not in operation["responses"] and _is_mirrored(response):
        status = "200"  # LOOKALIKE_MIRROR_STATUS: an answer all the same.
    assert status in operation["responses"], (request.method, path, status, response.text[:500])
    media_type = response.headers.get("content-type", "").partition(";")[0]
    described = operation["responses"][status].get("content", {})
    if _is_mirrored(response):
        described = operation["responses"]["200"]["content"]
    assert list(described) == ([media_type] if media_type else []), (path, status, media_type)
    if media_type:
        validator = _validator(template, request.method.lower(), status, _is_mirrored(response))
        error = next(validator.iter_errors(response.json()), None)
        assert error is None, (path, status, str(error))


def _is_mirrored(response: httpx.Response) -> bool:
    return response.status_code >= 400 and '"answer_records"' in response.text


@functools.cache
def _validator(template: str, verb: str, status: str, mirrored: bool) -> Any:
    answers = document()["paths"][template][verb]["responses"]
    (content,) = answers["200" if mirrored else status]["content"].values()
    schema = content["schema"] | {"components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


@functools.cache
def _templates() -> dict[str, re.Pattern[str]]:
    return {
        path: re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        for path in document()["paths"]
    }


def _template_of(path: str) -> str | None:
    if path in document()["paths"]:
        return path
    found = (template for template, form in _templates().items() if form.fullmatch(path))
    return next(found, None)
