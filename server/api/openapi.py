"""The OpenAPI 3.1 document, made from the table of routes; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.api.models import ErrorAnswer
from server.api.route import Route, Who
from server.problems import STATUS, Problem

_REF = "#/components/schemas/{model}"
_ALWAYS = (Problem.INTERNAL,)
_SECURITY: dict[Who, list[dict[str, list[str]]]] = {
    Who.ANYONE: [],
    Who.OPERATOR: [{"operatorToken": []}, {"consoleSession": []}],
    Who.SESSION: [{"consoleSession": []}],
    Who.DEVICE: [{"deviceSecret": []}],
    Who.FEED: [{"operatorToken": []}, {"feedToken": []}],
}


def document(routes: Iterable[Route], version: str) -> dict[str, object]:
    """The whole document."""
    routes = list(routes)
    requests = {one.request for one in routes if one.request is not None}
    responses = {one.response for one in routes if one.response is not None} | {ErrorAnswer}
    _, definitions = models_json_schema(
        sorted(
            [
                *((one, "validation") for one in requests),
                *((one, "serialization") for one in responses),
            ],
            key=lambda pair: (pair[0].__name__, pair[1]),
        ),
        ref_template=_REF,
    )
    names = _Names(definitions.get("$defs", {}))
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tiếng Làng server",
            "version": version,
            "description": "Operators under /api/v1, boxes under /device/v1, people under /console.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "operatorToken": {"type": "http", "scheme": "bearer"},
                "consoleSession": {"type": "apiKey", "in": "cookie", "name": "tl_session"},
                "deviceSecret": {"type": "http", "scheme": "basic"},
                "feedToken": {"type": "http", "scheme": "bearer"},
            },
        },
    }


class _Names:
    """Finds the name pydantic gave a model in the definitions."""

    def __init__(self, schemas: dict[str, object]) -> None:
        self._schemas = schemas

    def ref(self, model: type[BaseModel], mode: str) -> dict[str, str]:
        for name in (model.__name__, f"{model.__name__}-{mode}"):
            if name in self._schemas:
                return {"$ref": _REF.format(model=name)}
        raise LookupError(f"{model.__name__} has no unique name in the document")


def _operation(route: Route, names: _Names) -> dict[str, object]:
    operation: dict[str, object] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "tags": [route.who.value],
        "security": _SECURITY[route.who],
        "responses": _responses(route, names),
    }
    parameters: list[dict[str, object]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += [
        {
            "name": one.name,
            "in": one.where,
            "required": one.required,
            "description": one.description,
            "schema": {"type": "string"},
        }
        for one in route.parameters
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.request is not None:
        schema: dict[str, object] = {**names.ref(route.request, "Input")}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif route.request_type:
        operation["requestBody"] = {"required": True, "content": {route.request_type: {"schema": {}}}}
    return operation


def _responses(route: Route, names: _Names) -> dict[str, object]:
    success: dict[str, object] = {"description": "done"}
    if route.response is not None:
        success["content"] = {"application/json": {"schema": names.ref(route.response, "Output")}}
    elif route.response_type:
        success["content"] = {route.response_type: {"schema": {}}}
    responses: dict[str, object] = {str(route.status): success}
    problems = [*route.errors, *_ALWAYS]
    if route.who is not Who.ANYONE:
        problems.append(Problem.NOT_AUTHORISED)
    if route.request is not None:
        problems += [Problem.INVALID, Problem.TOO_LARGE]
    for status in sorted({STATUS[one] for one in problems}):
        codes = sorted({one.value for one in problems if STATUS[one] == status})
        responses[str(status)] = {
            "description": ", ".join(codes),
            "content": {"application/json": {"schema": names.ref(ErrorAnswer, "Output")}},
        }
    return responses
