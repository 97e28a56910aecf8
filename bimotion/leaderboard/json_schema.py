"""JSON Schema (2020-12) of our records, made of their types; descriptions are their docstrings."""

import dataclasses
import types
import typing


def schema_of(record: type, title: str) -> dict:
    """The schema of a data class of data classes, containers and scalars.

    >>> from bimotion.leaderboard.entry import Rank
    >>> schema_of(Rank, "standing.json")["properties"]["rank"]
    {'type': 'integer'}
    """
    definitions: dict[str, dict] = {}
    top = _definition(record, definitions)
    return (
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
        | top
        | {"$defs": definitions}
    )


def _definition(record: type, definitions: dict[str, dict]) -> dict:
    hints = typing.get_type_hints(record)
    return {
        "type": "object",
        "description": " ".join((record.__doc__ or "").split()),
        "properties": {name: _schema_of(kind, definitions) for name, kind in hints.items()},
        "required": list(hints),
        "additionalProperties": False,
    }


def _schema_of(kind: typing.Any, definitions: dict[str, dict]) -> dict:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = _definition(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1], definitions)}
    if origin is types.UnionType:
        return {"anyOf": [_schema_of(one, definitions) for one in arguments]}
    return {
        "type": {
            str: "string",
            int: "integer",
            float: "number",
            bool: "boolean",
            type(None): "null",
        }[kind]
    }
