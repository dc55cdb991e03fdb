"""Scores of a member, of columns that are not of one size."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from emagram.hybrid.ensembles.scores import DAILY, SCORES, read_scores
from emagram.physics.constants import Constants
from judged_runs import N_COLUMN, interface_pressure, made_up_fields, made_up_run


def test_means_are_weighted_by_mass_and_by_area(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run")
    area = np.linspace(1.0, 9.0, N_COLUMN)
    with netCDF4.Dataset(run / "history.nc", "r+") as file:
        file.variables["area"][:] = area
    lines = [",".join(["day", *DAILY]), *(",".join(map(str, [day, *[2.0 * day] * len(DAILY)])) for day in range(1, 5))]
    (run / "budgets.csv").write_text("\n".join([*lines, ""]))
    scores = dict(zip(SCORES, read_scores(run, 1, 3), strict=True))
    assert {scores[name] for name in DAILY} == {5.0}
    fields = made_up_fields(4)
    mass = np.diff(interface_pressure(), axis=0) / Constants().gravity * area / area.sum()
    humidity, temperature = (fields[name][1:3].mean(axis=0) for name in ("specific_humidity", "air_temperature"))
    assert scores["precipitable_water_kg_m2"] == pytest.approx((mass * humidity).sum(), rel=1e-12)
    assert scores["air_temperature_k"] == pytest.approx((mass * temperature).sum() / mass.sum(), rel=1e-12)
