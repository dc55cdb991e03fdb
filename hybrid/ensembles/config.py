"""What an ensemble is made of: a base case, seeds, and configurations that override parts of the case."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...physics.errors import EmagramError
from ..case import CaseConfig
from ..configuration import build, read_table

SET_BY_ENSEMBLE = ("seed", "days")
"""Keys of a case that no configuration overrides; its `name` is that of the configuration."""
ALTERNATIVES = ("source", "kind")
"""Keys that say which of several kinds of table one is; of another kind, nothing is merged."""


@dataclass(frozen=True)
class Member:
    """One run: a configuration under one seed."""

    configuration: str
    seed: int
    case: CaseConfig

    @property
    def name(self) -> str:
        """Of its run folder in `members/`."""
        return f"{self.configuration}-{self.seed}"


@dataclass(frozen=True)
class Configuration:
    """A case, and the seeds that it runs under."""

    name: str
    seeds: tuple[int, ...]
    case: CaseConfig

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.name):
            raise EmagramError(f"configuration name: expected letters, digits and _ . -, got '{self.name}'")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise EmagramError(
                f"configuration '{self.name}': expected different seeds of at least 0, got {list(self.seeds)}"
            )

    def members(self) -> tuple[Member, ...]:
        """One for each seed."""
        name = f"{self.case.name}-{self.name}"
        cases = [dataclasses.replace(self.case, name=f"{name}-{seed}", seed=seed) for seed in self.seeds]
        return tuple(Member(self.name, seed, case) for seed, case in zip(self.seeds, cases, strict=True))


@dataclass(frozen=True)
class EnsembleConfig:
    """Configurations that are compared with the first of them.

    Attributes:
        days: of every member.
        from_day: [day] scores are means over the days after it.
        resampling_seed: of the random draws behind intervals, p-values and power.
    Raises:
        EmagramError: if two configurations have one name, or the days do not fit the records of a case.
    """

    name: str
    days: int
    configurations: tuple[Configuration, ...]
    from_day: int = 0
    resampling_seed: int = 0

    def __post_init__(self) -> None:
        names = [configuration.name for configuration in self.configurations]
        if not names:
            raise EmagramError(f"ensemble '{self.name}': expected at least one of [[configurations]], got none")
        for name in names:
            if names.count(name) > 1:
                raise EmagramError(
                    f"ensemble '{self.name}': expected one configuration '{name}', got {names.count(name)}"
                )
        if not 0 <= self.from_day < self.days:
            raise EmagramError(
                f"ensemble '{self.name}': expected 'from_day' from 0 to below {self.days} days, got {self.from_day}"
            )
        if self.resampling_seed < 0:
            raise EmagramError(
                f"ensemble '{self.name}': expected 'resampling_seed' of at least 0, got {self.resampling_seed}"
            )
        for configuration in self.configurations:
            self._check_records(configuration)

    def _check_records(self, configuration: Configuration) -> None:
        if self.from_day % (days := configuration.case.history_days):
            raise EmagramError(
                f"ensemble '{self.name}': expected 'from_day' to be a multiple of 'history_days' ({days}) of "
                f"'{configuration.name}', got {self.from_day}"
            )

    def members(self) -> tuple[Member, ...]:
        """All of them, in the order of configurations and seeds."""
        return tuple(member for configuration in self.configurations for member in configuration.members())


@dataclass(frozen=True)
class _File:
    """The TOML file; a case is a path or a table, seeds a number, from the first one on, or a list."""

    name: str
    days: int
    case: Any
    seeds: Any = None
    first_seed: int = 0
    from_day: int = 0
    resampling_seed: int = 0
    configurations: tuple[dict[str, Any], ...] = ()


def read_ensemble(path: Path) -> EnsembleConfig:
    """Read an ensemble from a TOML file, each case as strictly as `emagram run` reads it.

    Raises:
        EmagramError: the file or that of its case cannot be read or is not TOML, a key is unknown (the nearest known
            one is named) or set by the ensemble, there are no seeds, or a case or the ensemble does not fit together.
    """
    file = build(_File, read_table(path), str(path))
    base = _read_case(file.case, f"{path} 'case'")
    configurations = []
    for number, table in enumerate(file.configurations, 1):
        name = table.get("name")
        if not isinstance(name, str):
            raise EmagramError(f"configuration {path}: expected a 'name' of configuration {number}, got {name!r}")
        configurations.append(_read_configuration(file, base, table, f"{path} configuration '{name}'"))
    return EnsembleConfig(file.name, file.days, tuple(configurations), file.from_day, file.resampling_seed)


def _read_configuration(file: _File, base: Mapping[str, Any], table: Mapping[str, Any], where: str) -> Configuration:
    own = {"seeds": file.seeds, "first_seed": file.first_seed} | dict(table)
    seeds = _read_seeds(own.pop("seeds"), own.pop("first_seed"), where)
    name = own.pop("name")
    for key in SET_BY_ENSEMBLE:
        if key in own:
            raise EmagramError(f"configuration {where}: expected no '{key}', which the ensemble sets")
    merged = merge(base, own) | {"name": file.name, "days": file.days, "seed": 0}
    return Configuration(name, seeds, build(CaseConfig, merged, where))


def _read_case(case: object, where: str) -> dict[str, Any]:
    if isinstance(case, str):
        return read_table(Path(case))
    if isinstance(case, dict):
        return case
    raise EmagramError(f"configuration {where}: expected a path or a table, got {case!r}")


def _read_seeds(seeds: object, first: object, where: str) -> tuple[int, ...]:
    """A number n is the n seeds from the first on."""
    if type(first) is not int or first < 0:
        raise EmagramError(f"configuration {where}: expected 'first_seed', a number of at least 0, got {first!r}")
    if type(seeds) is int and seeds > 0:
        return tuple(range(first, first + seeds))
    if isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds):
        return tuple(seeds)
    raise EmagramError(f"configuration {where}: expected 'seeds', a number above 0 or a list of numbers, got {seeds!r}")


def merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Tables over tables, key by key; a table whose `source` or `kind` is another replaces the base's whole."""
    merged = dict(base)
    for key, new in overrides.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and not _differ(old, new):
            merged[key] = merge(old, new)
        else:
            merged[key] = new
    return merged


def _differ(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return any(name in new and new[name] != old.get(name) for name in ALTERNATIVES)
