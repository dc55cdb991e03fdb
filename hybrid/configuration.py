"""Configuration, read strictly: TOML into frozen dataclasses, every key known, every value of its type."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..physics.errors import EmagramError

Configuration = TypeVar("Configuration")


def read_configuration(path: Path, kind: type[Configuration]) -> Configuration:
    """Read a TOML file into the dataclass `kind`, its tables into the dataclasses of its fields.

    Raises:
        EmagramError: the file cannot be read, is not TOML, holds an unknown key (the nearest known one is named),
            lacks a key without a default, or a value has another type; the dataclass's own checks apply too.
    """
    return build(kind, read_table(path), str(path))


def read_table(path: Path) -> dict[str, Any]:
    """A TOML file as it is; raises EmagramError if it cannot be read or is not TOML."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise EmagramError(f"configuration '{path}': expected a readable file, got {reason}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EmagramError(f"configuration '{path}': not TOML: {error}") from error


def build(kind: type[Configuration], table: Mapping[str, Any], where: str) -> Configuration:
    """The dataclass `kind` from a table; `where` names the table in errors."""
    types_ = typing.get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise EmagramError(f"configuration {where}: unknown key '{key}'{_nearest(key, list(known))}")
    for name, field in known.items():
        if name not in table and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise EmagramError(f"configuration {where}: expected key '{name}', got none")
    values = {key: _convert(types_[key], value, f"{where} '{key}'") for key, value in table.items()}
    return kind(**values)


def _nearest(key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return f"; did you mean '{nearest[0]}'?" if nearest else ""


def _convert(kind: Any, value: Any, where: str) -> Any:
    """`value` as `kind`: a dataclass, a tuple or table of one type, a Literal, a union, or a plain type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:  # what reads the table later checks it
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise EmagramError(f"configuration {where}: expected a table, got {value!r}")
        return build(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise EmagramError(f"configuration {where}: expected a list, got {value!r}")
        return tuple(_convert(arguments[0], item, where) for item in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise EmagramError(f"configuration {where}: expected a table, got {value!r}")
        return {key: _convert(arguments[1], item, f"{where} '{key}'") for key, item in value.items()}
    if origin is typing.Literal:
        if value not in arguments:
            raise EmagramError(f"configuration {where}: expected one of {list(arguments)}, got {value!r}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if kind is float and type(value) is int:
        return float(value)
    if kind is Path and isinstance(value, str):
        return _expand(value, where)
    if type(value) is not kind:
        raise EmagramError(f"configuration {where}: expected {kind.__name__}, got {value!r}")
    return value


def _expand(value: str, where: str) -> Path:
    """A path with its environment variables, such as $EMAGRAM_DATA, replaced."""
    for name in re.findall(r"\$(\w+)", value):
        if name not in os.environ:
            raise EmagramError(f"configuration {where}: '{value}' needs the environment variable {name}, not set")
    return Path(os.path.expandvars(value))


def _convert_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """The one of the kinds that fits; None where that is one, as JSON has it (in TOML it is only ever a default).

    Dataclasses tell themselves apart by a field `kind` or `source` of Literal type, the same one in all of them.
    """
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return _convert(kinds[0], value, where)
    hints = [typing.get_type_hints(kind) for kind in kinds]
    name = next(name for name in ("kind", "source") if all(name in hint for hint in hints))
    by_name = {typing.get_args(hint[name])[0]: kind for hint, kind in zip(hints, kinds, strict=True)}
    chosen = value.get(name) if isinstance(value, dict) else None
    if not isinstance(chosen, str) or chosen not in by_name:
        raise EmagramError(f"configuration {where}: expected a table with '{name}' one of {list(by_name)}")
    return _convert(by_name[chosen], value, where)
