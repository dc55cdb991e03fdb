"""What the demo runs: a case to record, a study to train, and an online case with the runs it is judged by."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..emulators.climsim_study_config import ClimsimStudyConfig
from ..physics.errors import EmagramError
from .case import CaseConfig
from .configuration import build, read_configuration, read_table

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
MODEL = Path("train") / "best.emg"
ONLINE, CONVENTIONAL = "online", "conventional"
REPLICAS: Mapping[str, Mapping[str, Any]] = {
    "last-digit": {"relative": 1.0e-14, "seed": 1},
    "other-weather": {"weather": 1},
}
"""The `perturbation` of each further conventional run: what little or much of other weather does by itself."""


@dataclass(frozen=True)
class DemoStory:
    """Configurations, with paths into the folder of the demo.

    Attributes:
        folder: of the demo; its steps write `record`, `train`, and the runs below.
        files: names of the TOML files that this was read from.
        record: records conventional physics.
        study: learns from these records.
        runs: by name of their folder: `online` with the emulator, then `conventional` and REPLICAS without.
    """

    folder: Path
    files: tuple[str, ...]
    record: CaseConfig
    study: ClimsimStudyConfig
    runs: Mapping[str, CaseConfig]

    @property
    def model(self) -> Path:
        """The exported emulator."""
        return self.folder / MODEL


def read_story(folder: Path, *, suffix: str = "", configs: Path = CONFIGS) -> DemoStory:
    """Read `demo-record`, `demo-study` and `demo-online` (and suffix) for a folder.

    Raises:
        EmagramError: if a configuration cannot be read, or the online case names no physics to judge.
    """
    paths = {part: configs / f"demo-{part}{suffix}.toml" for part in ("record", "study", "online")}
    study, online = read_table(paths["study"]), read_table(paths["online"])
    records = {"folder": str(folder / "record" / "columns"), "grid": str(folder / "record" / "grid.nc")}
    study["records"] = {**study.get("records", {}), **records}
    return DemoStory(
        folder=folder,
        files=tuple(path.name for path in paths.values()),
        record=read_configuration(paths["record"], CaseConfig),
        study=build(ClimsimStudyConfig, study, str(paths["study"])),
        runs=_runs(online, folder / MODEL, str(paths["online"])),
    )


def _runs(table: Mapping[str, Any], model: Path, where: str) -> dict[str, CaseConfig]:
    """The online case with this model, the same with conventional physics, and replicas of that."""
    if "model" not in table.get("physics", {}):
        raise EmagramError(f"configuration {where}: expected a table 'physics' with a 'model', got none")
    online = copy.deepcopy(dict(table))
    online["physics"]["model"] = str(model)
    conventional = {key: value for key, value in table.items() if key != "physics"}
    tables = {ONLINE: online, CONVENTIONAL: conventional}
    tables |= {name: conventional | {"perturbation": dict(change)} for name, change in REPLICAS.items()}
    return {name: build(CaseConfig, {**one, "name": f"{table['name']}-{name}"}, where) for name, one in tables.items()}
