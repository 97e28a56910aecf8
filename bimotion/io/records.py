"""Records: data classes that are written as JSON and read back through pydantic, also from files
of strangers.

Before a text is parsed its bytes, objects, lists and fields are counted; a container of records is
checked up to its first fault, so that a million faulty rows cost no more than one.
"""

import re
import typing
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticKnownError, SchemaValidator, core_schema

from bimotion.errors import RecordError, SettingError, printable

MAX_PARTS = 2_000_000
"""Objects, lists and fields of one JSON text: `[],` is three bytes of text and sixty of memory."""
MAX_SHOWN = 80
"""Characters of a value in a message."""
MAX_FAULTS = 100
UNION_MEMBERS = re.compile(r"str|int|float|bool|(list|dict)\[.*\]")
"""Last step to a fault in a value of several types; no field has such a name."""
T = typing.TypeVar("T")
Scalar = str | int | float | bool | None


class Record:
    """The base of our records, frozen data classes: in JSON every field, no other, each of its
    type; numbers are finite. A string under a field is its docstring, also in the JSON Schema."""

    added: typing.ClassVar[frozenset[str]] = frozenset()
    """Fields that records of earlier versions lack: read from these as their default."""

    __pydantic_config__ = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


def read_record(kind: type[T], path: Path, max_bytes: int, name: str) -> T:
    """The record in a JSON file.

    Args:
        name: what the file holds, for messages: `result`.
    Raises:
        RecordError: in one line, with the path: no plain file, a longer one, or as `from_json`.
    """
    return from_json(kind, read_bytes(path, max_bytes), name, f"{path}: ")


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The content of a plain file of at most so many bytes; raises RecordError."""
    if not path.is_file():
        kind = "something else" if path.exists() else "none"
        raise RecordError(f"{path}: expected a file, found {kind}")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise RecordError(
            f"{path}: expected at most {max_bytes} bytes, found {path.stat().st_size}"
        )
    return content


def from_json(kind: type[T], text: str | bytes, name: str, where: str = "") -> T:
    """A record, or a container of such, from JSON text.

    Args:
        name: of the outermost object, for messages.
        where: begins every message.
    Raises:
        RecordError: the field, what was expected there and what was found.

    >>> from_json(list[int], "[1, 2]", "seeds")
    [1, 2]
    >>> from_json(list[int], '[1, "2"]', "seeds")
    Traceback (most recent call last):
    bimotion.errors.RecordError: seeds[1]: expected a valid integer, found '2'
    """
    if (n_parts := _n_parts(text)) > MAX_PARTS:
        raise RecordError(
            f"{where}expected at most {MAX_PARTS} objects, lists and fields, found {n_parts}"
        )
    try:
        return _validator(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise RecordError(where + _reason(error, name)) from None


def json_schema(kind: type, title: str) -> dict:
    """The JSON Schema (2020-12) of a record as it is written."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | TypeAdapter(kind).json_schema(mode="serialization") | {"title": title}


def _n_parts(text: str | bytes) -> int:
    """Objects, lists and fields of a JSON text, at most."""
    openings = (b"[", b"{", b":") if isinstance(text, bytes) else ("[", "{", ":")
    return sum(map(text.count, openings))


@cache
def _validator(kind: typing.Any) -> SchemaValidator:
    return SchemaValidator(_for_reading(TypeAdapter(kind).core_schema))


def _for_reading(schema: typing.Any, added: frozenset[str] = frozenset()) -> typing.Any:
    """The same schema of pydantic-core, but that a field may not be missing because it has a
    default, unless earlier versions lack it (`Record.added`), that a container is not read on after
    a faulty item, and that a version is written as an integer: 4.0 equals 4."""
    if isinstance(schema, list):
        return [_for_reading(part, added) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "dataclass":
        added = getattr(schema["cls"], "added", added)
    if schema.get("type") == "dataclass-field" and schema["name"] in added:
        default = schema["schema"]
        return schema | {"schema": default | {"schema": _for_reading(default["schema"], added)}}
    if schema.get("type") == "default":
        return _for_reading(schema["schema"], added)
    if schema.get("type") == "literal" and all(type(v) is int for v in schema["expected"]):
        return core_schema.no_info_before_validator_function(
            _integer_of(schema["expected"]), schema
        )
    stops = {"fail_fast": True} if schema.get("type") in ("list", "dict") else {}
    return {name: _for_reading(part, added) for name, part in schema.items()} | stops


def _integer_of(allowed: list[int]) -> Callable[[object], object]:
    """A check that a value is an integer, which says what is allowed instead."""

    def check(value: object) -> object:
        if type(value) is not int:
            expected = " or ".join(map(str, allowed))
            raise PydanticKnownError("literal_error", {"expected": expected})
        return value

    return check


def _reason(error: ValidationError, name: str) -> str:
    """One line about the first fault, or about a wrong version, which explains the others."""
    if (n_faults := error.error_count()) > MAX_FAULTS:
        return f"expected {name}, found {n_faults} fields that are unexpected, missing or wrong"
    faults = error.errors(include_url=False)
    fault = min(faults, key=lambda fault: not str(*fault["loc"][-1:]).endswith("version"))
    steps, value = fault["loc"], fault["input"]
    if fault["type"] == "json_invalid":
        return f"expected a {name} in JSON, found: {fault['ctx']['error']}"
    if fault["type"] == "missing":
        return f"{name}{_path(steps)}: expected this field, found none"
    if fault["type"] == "unexpected_keyword_argument":
        return f"{name}{_path(steps)}: unexpected field, remove it"
    if fault["type"] == "value_error":  # raised by a record's own check
        return f"{name}{_path(steps)}: {fault['ctx']['error']}"
    expected = fault["msg"].removeprefix("Input should be ")
    if UNION_MEMBERS.fullmatch(str(*steps[-1:])):
        steps = steps[:-1]
        members = [other["msg"] for other in faults if other["loc"][:-1] == steps]
        expected = " or ".join(message.removeprefix("Input should be ") for message in members)
    return f"{name}{_path(steps)}: expected {expected}, found {value!r:.{MAX_SHOWN}}"


def _path(steps: tuple[str | int, ...]) -> str:
    """`.scores[0].value` of a place in a record."""
    return printable(
        "".join(f"[{step}]" if isinstance(step, int) else f".{step:.80}" for step in steps)
    )


def names_version(path: Path, field: str) -> bool:
    """Return whether a file's first kilobytes are those of a JSON object with the field: how our
    records say what they are."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return start.lstrip()[:1] == b"{" and f'"{field}":'.encode() in start


def refuse_others(path: Path, field: str) -> None:
    """Raise SettingError where a file is there, not empty, that is no record with this version
    field: it is not ours to replace."""
    if path.exists() and not (
        path.is_file() and (path.stat().st_size == 0 or names_version(path, field))
    ):
        raise SettingError(
            f"{path}: expected no file, or one with {field}, found something else: move it "
            "away, or name another folder"
        )
