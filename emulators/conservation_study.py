"""Skill against residual: ways to keep budgets, trained alike and scored in the climate of training and in others.

The run folder holds `configuration.json`, `versions.json`, a folder for every variant and kind of inputs (that of
`ClimsimStudy`, without its scores), `skill.csv` (a row for every member and climate), `summary.json` (mean and spread
over seeds) and `skill.png`. Running it again continues, with the same result. Source: Beucler et al. 2021,
doi:10.1103/PhysRevLett.126.098302.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from .atomic import write_atomically
from .climsim_constraints import climsim_constraints
from .climsim_study import ClimsimStudy, Member
from .climsim_study_config import file_name
from .conservation_config import Case, ConservationConfig
from .conservation_figure import draw_skill
from .conservation_scores import score_conservation
from .data.climsim_stream import ColumnStream
from .emulator import ColumnEmulator, Fields
from .run_folder import claim_folder, write_json
from .tables import to_csv
from .training.parallel import Parallel
from .training.samples import Samples

SKILL_NAME, PICTURE_NAME = "skill.csv", "skill.png"
MEASURES = ("mse", "r2", "residual")

Row = dict[str, Any]


class ConservationStudy:
    """A study in a run folder.

    Args:
        config: what to do.
        folder: where; made if absent, continued if it holds the same configuration.
        parallel: the processes that train together; rank 0 scores and writes.
    Raises:
        EmagramError: if the folder holds another configuration.
    """

    def __init__(self, config: ConservationConfig, folder: Path, parallel: Parallel | None = None) -> None:
        self.config, self.folder, self.parallel = config, Path(folder), parallel or Parallel()
        with self.parallel.together():
            if self.parallel.is_first:
                claim_folder(self.folder, config)

    def run(self) -> dict[str, Any]:
        """Train, score and draw; returns the contents of `summary.json` (nothing on ranks other than 0).

        Raises:
            EmagramError: if the records cannot be used or training fails.
            OSError: if the folder cannot be written.
        """
        rows: list[Row] = []
        truth: Row = {}
        for cases in self._groups():
            study, members = self.train(cases[0])
            if self.parallel.is_first:
                rows += [row for case in cases for row in self._score(case, study, members)]
                truth = truth or self._score_truth(study)
        if not self.parallel.is_first:
            return {}
        order: list[tuple[str, str]] = [(case.variant.name, case.inputs) for case in self.config.cases()]
        rows.sort(key=lambda row: (self.config.climates.index(row["climate"]), order.index(_key(row))))
        skill = summarise(rows)
        summary = {"name": self.config.name, "truth": truth, "skill": skill}
        write_atomically(self.folder / SKILL_NAME, to_csv(rows))
        write_json(self.folder / "summary.json", summary)
        draw_skill(skill, self.folder / PICTURE_NAME)
        return summary

    def train(self, case: Case) -> tuple[ClimsimStudy, list[Member]]:
        """The study of a case, and its emulators of all seeds; errors as `run`."""
        study = ClimsimStudy(case.study, self.folder / self._name(case), self.parallel)
        return study, study.train()

    def _groups(self) -> list[list[Case]]:
        """Cases that train alike, together."""
        groups: list[list[Case]] = []
        for case in self.config.cases():
            same = next((group for group in groups if group[0].study == case.study), None)
            if same is None:
                groups.append([case])
            else:
                same.append(case)
        return groups

    def _name(self, case: Case) -> str:
        return f"{file_name(case.variant.name)}-{case.inputs}"

    def _score(self, case: Case, study: ClimsimStudy, members: Sequence[Member]) -> Iterator[Row]:
        """A row for every member and climate, of what the variant returns."""
        laws = climsim_constraints(study.spec, self.config.laws)
        spec = replace(study.spec, constraints=climsim_constraints(study.spec, case.variant.constraints))
        for member in members:
            member.emulator.eval().spec = spec
            for climate, stream in study.climates.items():
                scores = score_conservation(partial(_predict, member.emulator), spec, laws, _columns(stream))
                label = {"climate": climate, "variant": case.variant.name, "inputs": case.inputs, "seed": member.seed}
                yield label | scores.row()

    def _score_truth(self, study: ClimsimStudy) -> dict[str, dict[str, float | int]]:
        """By how much the records themselves leave the budgets open, in each climate."""
        laws = climsim_constraints(study.spec, self.config.laws)
        found = {}
        for climate, stream in study.climates.items():
            scores = score_conservation(lambda samples: samples.targets, study.spec, laws, _columns(stream))
            found[climate] = {"columns": scores.n_column, "residual": scores.residual, **scores.residual_of}
        return found


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Mean and spread (standard deviation) over the seeds of each variant, inputs and climate.

    `mse_change` is the mean's relative change against the first variant with the same inputs and climate.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["climate"], *_key(row)), []).append(row)
    summary: list[Row] = []
    first: dict[tuple[str, str], float] = {}
    for (climate, variant, inputs), members in groups.items():
        one: Row = {"climate": climate, "variant": variant, "inputs": inputs, "members": len(members)}
        for name in (name for name in members[0] if name in MEASURES or name.startswith(("mse_", "residual_"))):
            values = [member[name] for member in members]
            one |= {f"{name}_mean": fmean(values), f"{name}_spread": stdev(values) if len(values) > 1 else 0.0}
        reference = first.setdefault((climate, inputs), one["mse_mean"])
        summary.append(one | {"mse_change": one["mse_mean"] / reference - 1.0})
    return summary


def _key(row: Row) -> tuple[str, str]:
    return row["variant"], row["inputs"]


def _predict(emulator: ColumnEmulator, samples: Samples) -> Fields:
    outputs: Fields = emulator(samples.inputs)
    return outputs


def _columns(stream: ColumnStream) -> Iterator[Samples]:
    return (samples for _, samples in stream.ordered())
