"""JSON as the data classes of our records, checked all the way down: every field, no other, each of
its type."""

import dataclasses
import json
import sys
import typing
from functools import cache
from pathlib import Path
from types import UnionType

from bimotion.errors import RecordError, SettingError


def typed(kind: typing.Any, value: typing.Any, where: str) -> typing.Any:
    """`value`, from JSON, as `kind` (a data class, a container or a scalar); `where`: its place,
    for messages. Raises RecordError naming the first thing that is otherwise.

    >>> typed(list[int], [1, 2], "seeds")
    [1, 2]
    """
    origin, arguments, types = _parts(kind)
    if types is not None:
        if not isinstance(value, dict) or set(value) != set(types):
            found = (
                sorted(set(types) ^ set(value)) if isinstance(value, dict) else type(value).__name__
            )
            raise RecordError(
                f"{where}: expected the fields {', '.join(types)}; missing or too many: {found}"
            )
        return kind(**{name: typed(types[name], value[name], f"{where}.{name}") for name in types})
    if origin is list and isinstance(value, list):
        return [typed(arguments[0], item, f"{where}[{place}]") for place, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {name: typed(arguments[1], item, f"{where}.{name}") for name, item in value.items()}
    for one in arguments if origin is UnionType else ():
        if isinstance(value, dict if _parts(one).types is not None else _parts(one).origin or ()):
            return typed(one, value, where)
    scalars = (origin,) if origin in (list, dict) else arguments or (kind,)
    if origin not in (list, dict) and (
        type(value) in scalars or (float in scalars and type(value) is int)
    ):
        if (
            type(value) in (int, float)
            and float in scalars
            and not abs(value) <= sys.float_info.max
        ):
            raise RecordError(f"{where}: expected a finite number, found {value!r:.80}")
        return value
    names = " or ".join(
        "null" if scalar is type(None) else getattr(scalar, "__name__", str(scalar))
        for scalar in scalars
    )
    raise RecordError(f"{where}: expected {names}, found {value!r:.80}")


class _Parts(typing.NamedTuple):
    origin: typing.Any
    arguments: tuple
    types: dict[str, typing.Any] | None


@cache
def _parts(kind: typing.Any) -> _Parts:
    """What `list` and `int` are to list[int]; of a data class, the types of its fields. Asked for
    once a row, hence kept."""
    types = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else None
    return _Parts(typing.get_origin(kind), typing.get_args(kind), types)


def no_constant(name: str) -> float:
    """For `parse_constant` of json.loads: NaN and infinities are an error."""
    raise ValueError(f"{name} is no number in JSON")


MAX_PARTS = 1_000_000
"""Objects and lists in one JSON text: `[],` is three bytes of text and takes sixty of memory."""


def parsed(text: str | bytes, most_parts: int = MAX_PARTS) -> typing.Any:
    """What a JSON text holds, NaN and infinities excepted. Raises ValueError, also for one that is
    deeper, or of more objects and lists, than any record is; how long it is its reader bounds.

    >>> parsed('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    opening = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if (n_parts := sum(map(text.count, opening))) > most_parts:
        raise ValueError(f"{n_parts} objects and lists, expected at most {most_parts}")
    try:
        return json.loads(text, parse_constant=no_constant)
    except RecursionError:
        raise ValueError("objects and lists within each other, too deep to be read") from None


def names_version(path: Path, field: str) -> bool:
    """Whether a file's first kilobytes are those of a JSON object with the field: how our records
    say what they are."""
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


def json_object(path: Path, most_bytes: int) -> dict:
    """What a small file holds, a JSON object; raises RecordError."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > most_bytes:
        raise RecordError(f"{path.name}: expected a plain file of at most {most_bytes} bytes")
    try:
        content = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path.name}: expected JSON, found: {error}") from None
    if not isinstance(content, dict):
        raise RecordError(f"{path.name}: expected an object, found {type(content).__name__}")
    return content
