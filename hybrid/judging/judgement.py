"""The judgement of an online run: everything that is said of it beside a conventional run of the same case."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...emulators.atomic import write_atomically
from ...physics.errors import EmagramError
from ...physics.units import SECONDS_PER_DAY
from .climate import Climate, compare_climate
from .conservation import Conservation, conservation, trend
from .corrections import Corrections, corrections
from .floors import Floor, FloorRatio, describe, differences, floor_ratio, kind_of
from .growth import Growth, Survival, error_growth, survival
from .interventions import Interventions, interventions
from .notes import notes_of
from .offline import offline_r2
from .precipitation import Precipitation, compare_precipitation
from .runs import Run, compared_records, read_run
from .speed import Speed, compare_speed

FORMAT = 1
JUDGEMENT_NAME = "judgement.json"
HEADLINES = {
    "air_temperature": "t_k",
    "specific_humidity": "q_g_kg",
    "precipitation_flux": "precipitation_mm_day",
    "toa_outgoing_longwave_flux": "outgoing_longwave_w_m2",
}
"""Names and units, in `headline`, of variables."""


@dataclass(frozen=True)
class Judgement:
    """A run beside a conventional run of the same case, over the days that both have after the run's spin-up.

    Attributes:
        run, against: names of the run folders.
        physics: of the run: conventional, emulator or blend.
        taken: what alone is taken from the emulator, of a partial coupling; empty where that is everything.
        model_sha256: of its model file; None without one.
        first_day, last_day: [day] since the start of the run: begin and end of the compared days, equal if none.
        days_in_mean: [day] of the records that are compared.
        notes: what a reader must know of the comparison, a sentence each.
        climate: biases and errors; None where the run stopped before it completed a record after the spin-up.
        precipitation: distributions; None as above.
        conservation, against_conservation: drift and residuals of the run and of the other one; None as above.
        difference_energy_trend_w_m2, difference_water_trend_mm_day: [W m-2], [mm day-1] trends of run − other, in
            which the seasons cancel; None of fewer than two records.
        floors: replicas of the other run beside it.
        floor_ratios: every score beside every floor.
        survival: days until the stop, or survived.
        growth: error by day since the runs parted, of the run and of every replica.
        interventions: rejected and corrected columns; None of a conventional run, and as above.
        corrections: where the constraints act and how much; None as there.
        speed: of the run and of the other one.
        offline_r2: R² by variable on the records that the emulator was tested on; empty without a study's folder.
    """

    run: str
    against: str
    physics: str
    taken: tuple[str, ...]
    model_sha256: str | None
    first_day: float
    last_day: float
    days_in_mean: float
    notes: tuple[str, ...]
    climate: Climate | None
    precipitation: Precipitation | None
    conservation: Conservation | None
    against_conservation: Conservation | None
    difference_energy_trend_w_m2: float | None
    difference_water_trend_mm_day: float | None
    floors: tuple[Floor, ...]
    floor_ratios: tuple[FloorRatio, ...]
    survival: Survival
    growth: tuple[Growth, ...]
    interventions: Interventions | None
    corrections: Corrections | None
    speed: Speed
    offline_r2: Mapping[str, float]

    @property
    def stopped_in_spin_up(self) -> bool:
        """Whether the run stopped before its emulator's first step, so that it says nothing of it."""
        stopped = self.survival.stopped
        return stopped is not None and self.physics != "conventional" and stopped["day"] < self.first_day

    def to_json(self) -> str:
        """Everything, arrays as lists, with null for what is not a finite number."""
        content = {"format": FORMAT, "headline": headline(self)} | dataclasses.asdict(self)
        return json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"

    def write(self, folder: Path) -> Path:
        """Write `judgement.json`, complete or not at all; raises OSError if the folder cannot be written."""
        path = Path(folder) / JUDGEMENT_NAME
        write_atomically(path, self.to_json().encode())
        return path


def headline(judgement: Judgement) -> dict[str, float | bool | str | None]:
    """The few numbers that a summary names, under names with units; None where there is none."""
    climate, closure = judgement.climate, judgement.conservation
    values: dict[str, float | bool | str | None] = {
        "physics": judgement.physics,
        "online_stable": judgement.survival.survived,
        "online_days": judgement.survival.online_days,
        "compared_days": judgement.last_day - judgement.first_day,
    }
    for variable, name in HEADLINES.items():
        score = climate.score(variable) if climate else None
        values[f"online_bias_{name}"] = score.bias if score else None
        values[f"online_rmse_{name}"] = score.rmse if score else None
    for name in (
        *("closure_flux_energy_w_m2", "closure_flux_water_kg_m2_s", "closure_state_energy_w_m2"),
        *("closure_state_water_kg_m2_s", "residual_before_energy_w_m2", "residual_before_water_kg_m2_s"),
    ):
        values[name] = getattr(closure, name) if closure else None
    values["energy_trend_against_w_m2"] = judgement.difference_energy_trend_w_m2
    values["water_trend_against_mm_day"] = judgement.difference_water_trend_mm_day
    values["rejected_fraction"] = judgement.interventions.rejected_fraction if judgement.interventions else None
    values["step_speedup"] = judgement.speed.step_speedup
    values["physics_speedup"] = judgement.speed.physics_speedup
    return values


def _plain(value: Any) -> Any:
    """As JSON has it, arrays with six digits."""
    if isinstance(value, np.ndarray):
        digits = np.vectorize(lambda item: float(f"{item:.6g}"), otypes=[float])
        return _plain(digits(value).tolist())
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def judge(
    run: Path | str, against: Path | str, replicas: Iterable[Path | str] = (), *, offline: Path | str | None = None
) -> Judgement:
    """Judge a run by the conventional run of the same case.

    Args:
        run: its folder; of a run with an emulator what follows the spin-up is judged.
        against: folder of the conventional run.
        replicas: folders of further conventional runs, such as those with a `[perturbation]`, each a floor.
        offline: folder of the study that trained the emulator, and still has its model file.
    Raises:
        EmagramError: if a folder is none of a run, a file is missing or damaged, the runs have other columns, levels,
            days in a mean or starts, or no day in common (unless the run stopped before), or the study exported another
            model than the run's.
    """
    ours, theirs = read_run(Path(run)), read_run(Path(against))
    records = compared_records(ours, theirs, ours.spin_up_days)
    others = [read_run(Path(folder)) for folder in replicas]
    if records.start == records.stop and ours.stopped is None:
        raise EmagramError(
            f"run '{ours.folder}': expected a day after its spin-up of {ours.spin_up_days:g} days in common with "
            f"'{theirs.folder}', got {len(ours.time)} and {len(theirs.time)} records of {ours.days_in_mean:g} days"
        )
    floors, growth = _replicas(theirs, others, records)
    first = ours.spin_up_days if records.start == records.stop else float(records.start * ours.days_in_mean)
    compared = _compare(ours, theirs, records) if records.start < records.stop else _Compared()
    climate = compared.climate
    if climate is not None:
        growth = (
            error_growth(ours, theirs, records, label=_name(ours), kind="run", parted_day=ours.spin_up_days),
            *growth,
        )
    return Judgement(
        run=_name(ours),
        against=_name(theirs),
        physics=ours.physics,
        taken=ours.taken,
        model_sha256=ours.summary.get("model_sha256"),
        first_day=first,
        last_day=first + (records.stop - records.start) * ours.days_in_mean,
        days_in_mean=ours.days_in_mean,
        notes=notes_of(ours, theirs, floors, records),
        **{field.name: getattr(compared, field.name) for field in dataclasses.fields(compared)},
        floors=floors,
        floor_ratios=tuple(
            floor_ratio(score, floor) for floor in floors for score in (climate.scores if climate else ())
        ),
        survival=survival(ours),
        growth=growth,
        speed=compare_speed(ours, theirs),
        offline_r2={} if offline is None else offline_r2(Path(offline), ours.summary.get("model_sha256")),
    )


@dataclass(frozen=True)
class _Compared:
    """What needs a compared record; the attributes of Judgement."""

    climate: Climate | None = None
    precipitation: Precipitation | None = None
    conservation: Conservation | None = None
    against_conservation: Conservation | None = None
    difference_energy_trend_w_m2: float | None = None
    difference_water_trend_mm_day: float | None = None
    interventions: Interventions | None = None
    corrections: Corrections | None = None


def _compare(run: Run, against: Run, records: slice) -> _Compared:
    ours, theirs = conservation(run, records), conservation(against, records)
    energy = trend(ours.day, 1e6 * (ours.energy_mj_m2 - theirs.energy_mj_m2))
    return _Compared(
        climate=compare_climate(run, against, records),
        precipitation=compare_precipitation(run, against, records),
        conservation=ours,
        against_conservation=theirs,
        difference_energy_trend_w_m2=None if energy is None else energy / SECONDS_PER_DAY,
        difference_water_trend_mm_day=trend(ours.day, ours.water_kg_m2 - theirs.water_kg_m2),
        interventions=None if run.physics == "conventional" else interventions(run, records),
        corrections=None if run.physics == "conventional" else corrections(run, records),
    )


def _replicas(against: Run, replicas: Sequence[Run], records: slice) -> tuple[tuple[Floor, ...], tuple[Growth, ...]]:
    """Every replica as a floor over the compared records, and its growth since the start of the run."""
    floors, growth = [], []
    for replica in replicas:
        common = compared_records(replica, against, 0.0)
        differing = differences(replica, against)
        label = f"{_name(replica)}: {describe(differing)}"
        if common.stop < records.stop:
            raise EmagramError(
                f"replica '{replica.folder}': expected the {records.stop * replica.days_in_mean:g} days that are "
                f"compared, got {common.stop * replica.days_in_mean:g}"
            )
        growth.append(error_growth(replica, against, common, label=label, kind=kind_of(differing), parted_day=0.0))
        if records.start < records.stop:
            distance = compare_precipitation(replica, against, records).distance_mm_day
            climate = dataclasses.replace(compare_climate(replica, against, records), zonal_bias={}, zonal_mean={})
            floors.append(Floor(label, kind_of(differing), climate, distance))
    return tuple(floors), tuple(growth)


def _name(run: Run) -> str:
    return run.folder.resolve().name
