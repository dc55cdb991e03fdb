"""100,000 columns like ClimSim's, and what no physics made of them: every column closes, in torch and in C++."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import emagram
from emagram.emulators.climsim import climsim_spec
from emagram.emulators.climsim_budgets import (
    OLR,
    RAIN_AND_SNOW,
    SNOW,
    SUNLIGHT,
    TOA_SHORTWAVE,
    WATERS,
    ColumnState,
    column_budgets,
)
from emagram.emulators.climsim_constraints import CLIMSIM_CONSTRAINTS, PRESSURE, constrained
from emagram.emulators.data.climsim_grid import ColumnGrid, built_in_grid
from emagram.emulators.data.climsim_synthetic import generate_climsim
from emagram.emulators.data.climsim_toy import RawStep, toy_climsim
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.export import export
from emagram.emulators.networks import DenseConfig
from emagram.fortran_bridge.model import Model
from emagram.physics.constants import Constants
from emagram.physics.constraints import close
from emagram.physics.thermodynamics import saturation_specific_humidity
from emagram.physics.variables import VARIABLES
from stepping import bind

N_COLUMN, N_STEP = 20_000, 5
CLOSED = {"float64": (1e-15, 1e-10), "float32": (1e-10, 1e-3)}  # kg m-2 s-1 and W m-2, ARCHITECTURE
LARGEST_DIFFERENCE = 1e-12  # between the languages, of an output's largest value in the column, of a water's q / Δt too
TIME_STEP = 1200.0
Fields = dict[str, Tensor]


def spec_of(grid: ColumnGrid) -> EmulatorSpec:
    spec = climsim_spec("v2", n_level=grid.coordinate.n_level)
    names = tuple(name for name in CLIMSIM_CONSTRAINTS if name != "residual_levels")
    return constrained(EmulatorSpec(**{**vars(spec), "outputs": (*spec.outputs, TOA_SHORTWAVE, OLR)}), names)


def fields_of(step: RawStep, spec: EmulatorSpec, grid: ColumnGrid, random: np.random.Generator) -> Fields:
    """Inputs, and what an emulator may return for them: the recorded change, with some noise."""
    mli, mlo = step["mli"], step["mlo"]
    fields = {}
    for name in (*spec.inputs, *spec.outputs):
        alias = VARIABLES[name].aliases.get("climsim", "")
        if name == PRESSURE:
            value = grid.coordinate.interface_pressure(torch.from_numpy(mli["state_ps"])).numpy()
        elif name == OLR:
            value = 240.0 + 60.0 * random.standard_normal(len(grid.latitude))
        elif name == TOA_SHORTWAVE:
            value = 0.7 * mli["pbuf_SOLIN"] * (1.0 + 0.3 * random.standard_normal(len(grid.latitude)))
        elif alias.startswith("ptend_"):
            state = alias.replace("ptend", "state")
            value = (mlo[state] - mli[state]) / TIME_STEP
        else:
            value = (mlo if alias.startswith("cam_out_") else mli)[alias]
        if name in spec.outputs:
            value = value + 0.1 * value.std(axis=0) * random.standard_normal(value.shape)
        fields[name] = torch.from_numpy(np.ascontiguousarray(value))
    return fields


def made_harsh(fields: Fields) -> Fields:
    """Of every six columns two as they are, one each without much water, saturated, dark, and of some thin layers."""
    vapor, liquid, ice = (state for state, _ in WATERS)
    dry, saturated, dark, thin = (torch.arange(N_COLUMN) % 6 == kind for kind in range(4))
    p = fields[PRESSURE]
    for water in (vapor, liquid, ice):
        fields[water][dry] *= 1.0e-9
    middle = 0.5 * (p[:, 1:] + p[:, :-1])
    fields[vapor][saturated] = saturation_specific_humidity(middle, fields["air_temperature"])[saturated]
    fields[SUNLIGHT][dark] = 0.0
    fields[PRESSURE] = p.clone()
    fields[PRESSURE][thin, 20:40:3] = p[thin, 19:39:3] + 1.0e-6  # [Pa]
    return fields


def batches(path: Path | None) -> Iterator[tuple[EmulatorSpec, Fields]]:
    grid = built_in_grid(N_COLUMN)
    spec, random = spec_of(grid), np.random.default_rng(5)
    steps = generate_climsim(path, grid, N_STEP, seed=2) if path else toy_climsim(grid, N_STEP, seed=2)
    for step in steps:
        yield spec, made_harsh(fields_of(step, spec, grid, random))


def opened(spec: EmulatorSpec, fields: Fields, path: Path) -> Model:
    """The constraints in the runtime; the network is never run but by the self-test."""
    torch.manual_seed(0)
    emulator = ColumnEmulator(spec, DenseConfig((4,)).build(spec.layout)).eval()
    for parameter in emulator.parameters():  # what an untrained network returns is nonsense in thin layers
        parameter.data.zero_()
    some = {name: fields[name][::500] for name in spec.inputs}
    export(emulator, path, samples=some, name="closed")
    return emagram.open(path, defer_constraints=True)


def layer_mass(fields: Fields) -> Tensor:
    """[kg m-2] (n_column, n_level)."""
    return fields[PRESSURE].diff(dim=1) / Constants().gravity


def check_closed(spec: EmulatorSpec, fields: Fields, dtype: str) -> None:
    """By the residuals of `climsim_budgets`, written before and apart from the constraints."""
    budgets = column_budgets(ColumnState(fields, fields[PRESSURE], spec.constants, TIME_STEP))
    water, energy = CLOSED[dtype]
    if dtype == "float32":  # hundreds of millimetres of rain a day round by more
        moved = sum((layer_mass(fields) * fields[rate].abs()).sum(dim=1) for _, rate in WATERS)
        water = torch.clamp(2.0**-24 * moved, min=water)
    assert bool((budgets["A_water"].abs() <= water).all())
    assert float(budgets["B_energy"].abs().max()) <= energy
    assert float(budgets["C_surface_shortwave"].abs().max()) <= energy
    if dtype == "float64":
        for state, rate in WATERS:
            assert float((fields[state] + TIME_STEP * fields[rate]).min()) >= 0.0


@torch.no_grad()
def check_batch(model: Model, spec: EmulatorSpec, fields: Fields) -> None:
    ledger = close(spec.constraints, fields)
    check_closed(spec, ledger.fields, "float64")
    raw = column_budgets(ColumnState(fields, fields[PRESSURE], spec.constants, TIME_STEP))
    assert float(raw["A_water"].abs().median()) > 1e-6
    assert float(raw["B_energy"].abs().median()) > 10.0
    states = {rate: state for state, rate in WATERS}
    rain = fields[RAIN_AND_SNOW]  # what is left of it is a difference
    for dtype in CLOSED:
        native = {name: fields[name].numpy().astype(dtype) for name in spec.outputs}
        columns = model.columns(N_COLUMN)
        bind(columns, {name: fields[name].numpy() for name in spec.inputs} | native)
        model.constrain(columns, N_COLUMN, TIME_STEP)
        returned = {name: torch.from_numpy(value) for name, value in native.items()}
        check_closed(spec, fields | {name: value.double() for name, value in returned.items()}, dtype)
        if dtype == "float64":
            for name, value in returned.items():
                scale = fields[states[name]] / TIME_STEP if name in states else rain if name == SNOW else fields[name]
                assert difference(value, ledger.fields[name], scale, fields[name]) <= LARGEST_DIFFERENCE, name
            for name, entry in ledger.entries.items():
                assert np.array_equal(columns.unmet(name, N_COLUMN), entry.unmet.numpy()), name
                assert name == "positivity_deficit" or not bool(entry.unmet.any()), name  # rain pays what it can


def difference(a: Tensor, b: Tensor, *scales: Tensor) -> float:
    """Largest in a column by the largest magnitude there, over all columns."""
    largest = torch.stack([value.abs().reshape(N_COLUMN, -1).amax(dim=1) for value in (b, *scales)]).amax(dim=0)
    return float(((a - b).abs().reshape(N_COLUMN, -1).amax(dim=1) / largest.clamp(min=1e-300)).max())


def check_all(source: Path | None, folder: Path) -> None:
    model: Model | None = None
    count = 0
    for spec, fields in batches(source):
        model = model or opened(spec, fields, folder / "closed.emg")
        check_batch(model, spec, fields)
        count += N_COLUMN
    assert count == 100_000


def test_a_hundred_thousand_made_up_columns_close(tmp_path: Path) -> None:
    check_all(None, tmp_path)


@pytest.mark.real_data
def test_a_hundred_thousand_columns_of_climsim_statistics_close(tmp_path: Path, real_data: Path) -> None:
    check_all(real_data / "climsim/column_statistics.nc", tmp_path)
