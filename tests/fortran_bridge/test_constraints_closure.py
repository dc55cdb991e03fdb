"""The whole sequence of constraints in the runtime closes columns of every kind, many at once, and as torch does."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import emagram
from constrained_columns import KINDS, columns
from constrained_model import (
    ALBEDOS,
    FLUXES,
    HEATING,
    INPUTS,
    LONGWAVE_DOWN,
    LONGWAVE_UP,
    NET,
    OLR,
    OUTPUTS,
    PRESSURE,
    RAIN,
    RATES,
    SNOW,
    STATES,
    SUNLIGHT,
    TIME_STEP,
    TOA_NET,
    WIND_RATES,
    WINDS,
    Array,
    constraint_entries,
    write_constrained,
)
from emagram.emulators.data.climsim_derived import Kind, derive
from emagram.emulators.data.climsim_grid import built_in_grid
from emagram.emulators.data.climsim_synthetic import generate_climsim
from emagram.fortran_bridge.model import Columns, Model
from emagram.physics.constants import Constants
from emagram.physics.constraints import from_manifest
from emagram.physics.constraints.ledger import close
from stepping import bind
from test_constraints import Fields, imbalances, integral
from test_constraints_languages import relative

CONSTANTS = Constants()
N_LEVEL = 30
N_COLUMN = 11_200  # of a kind, of which there are nine: 10⁵
LIMITS = {np.float64: (1e-15, 1e-10), np.float32: (1e-10, 1e-3)}  # kg m-2 s-1, W m-2, ARCHITECTURE
LARGE = (5e-3, 1e4)  # turnover beyond which real32 cannot hold its limits: 10 cm an hour, ten suns
ROUNDING = {np.float64: 1e-14, np.float32: 1.2e-7}  # of the turnover, which a column of one layer has in one place
SHORT = {
    **dict(zip((PRESSURE, *STATES, *WINDS), ("p", "qv", "ql", "qi", "u", "v"), strict=True)),
    **dict(zip((HEATING, *RATES, *WIND_RATES), ("dT", "dqv", "dql", "dqi", "du", "dv"), strict=True)),
    **dict(zip((SUNLIGHT, LONGWAVE_UP, RAIN, SNOW), ("sun", "longwave_up", "rain", "snow"), strict=True)),
    **dict(zip((NET, TOA_NET, LONGWAVE_DOWN, OLR), ("net", "toa", "longwave_down", "olr"), strict=True)),
    **{name: f"albedo{band}" for band, name in enumerate(ALBEDOS)},
    **{name: f"down{band}" for band, name in enumerate(FLUXES)},
}
Opened = Callable[[int], Model]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The model of a number of levels, whose constraints the coupler applies."""
    folder = tmp_path_factory.mktemp("closure")

    @cache
    def make(n_level: int) -> Model:
        path = write_constrained(folder / f"{n_level}.emg", list(constraint_entries().values()), n_level)
        return emagram.open(path, defer_constraints=True)

    return make


def of_kind(kind: str, n_column: int, n_level: int, seed: int) -> tuple[Fields, Fields]:
    """Inputs and raw outputs by the names of the model."""
    fields = columns(seed, n_column, n_level, kind)
    long: Fields = {name: np.ascontiguousarray(fields[short].numpy()) for name, short in SHORT.items()}
    long["air_temperature"] = np.full((n_column, n_level), 280.0)
    return {name: long[name] for name in INPUTS}, {name: long[name] for name in OUTPUTS}


def constrained(model: Model, inputs: Fields, outputs: Fields) -> tuple[Fields, Columns]:
    arrays, n = {name: array.copy() for name, array in outputs.items()}, len(inputs[SUNLIGHT])
    bound = model.columns(n)
    bind(bound, inputs | arrays)
    model.constrain(bound, n, TIME_STEP)
    return arrays, bound


def turnover(inputs: Fields, outputs: Fields) -> tuple[Array, Array]:
    """What layers and fluxes move, whatever its sign [kg m-2 s-1], [W m-2]: rounding errors are shares of it."""
    f = {name: np.abs(array.astype(float)) for name, array in outputs.items()}
    fusion, density = CONSTANTS.latent_heat_fusion, CONSTANTS.density_liquid_water
    energy = CONSTANTS.heat_capacity_dry_air * f[HEATING] + fusion * f[RATES[1]]
    energy += (CONSTANTS.latent_heat_vaporization + fusion) * f[RATES[0]]
    for wind, rate in zip(WINDS, WIND_RATES, strict=True):
        energy += f[rate] * (np.abs(inputs[wind]) + TIME_STEP * f[rate])
    fluxes = sum(f[name] for name in (TOA_NET, OLR, NET, LONGWAVE_DOWN)) + np.abs(inputs[LONGWAVE_UP])
    water = integral(inputs, sum(f[rate] for rate in RATES)) + density * f[RAIN]
    return water, integral(inputs, energy) + fusion * density * (f[RAIN] + f[SNOW]) + fluxes


def check_closed(model: Model, inputs: Fields, outputs: Fields, dtype: type) -> Fields:
    """Residuals, summed apart from the library, that are rounding and nothing else; returns the closed outputs."""
    inputs, outputs = ({n: array.astype(dtype) for n, array in fields.items()} for fields in (inputs, outputs))
    closed, bound = constrained(model, inputs, outputs)
    n = len(inputs[SUNLIGHT])
    closes = bound.unmet("column_water", n) == 0
    assert is_used_up(inputs, closed)[~closes].all()
    assert not bound.unmet("column_energy", n).any()
    for residual, moved, limit, large in zip(
        imbalances(inputs, closed), turnover(inputs, closed), LIMITS[dtype], LARGE, strict=True
    ):
        error = np.abs(np.where(closes, residual, 0.0))
        assert (error <= ROUNDING[dtype] * moved + 1e-3 * limit).all()
        judged = moved < large if dtype is np.float32 else slice(None)
        assert error[judged].max(initial=0.0) <= limit
    return closed


def is_used_up(inputs: Fields, closed: Fields) -> Array:
    """Columns that have neither water nor rain left to give: one that began below zero cannot be closed then."""
    most = np.max([inputs[s] + TIME_STEP * closed[r] for s, r in zip(STATES, RATES, strict=True)], axis=(0, 2))
    least = np.min([inputs[state] for state in STATES], axis=(0, 2))
    return np.asarray((np.abs(most) < 1e-12) & (closed[RAIN] == 0.0) & (least < 0.0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_columns_close(opened: Opened, kind: str) -> None:
    inputs, outputs = of_kind(kind, N_COLUMN, N_LEVEL, seed=1)
    before = imbalances(inputs, outputs)
    assert np.median(np.abs(before[1])) > 1.0
    check_closed(opened(N_LEVEL), inputs, outputs, np.float32)
    closed = check_closed(opened(N_LEVEL), inputs, outputs, np.float64)
    for state, rate in zip(STATES, RATES, strict=True):
        assert (inputs[state] + TIME_STEP * closed[rate]).min() >= 0.0
    check_twin(inputs, outputs, closed)


def check_twin(inputs: Fields, outputs: Fields, closed: Fields, n: int = 2000) -> None:
    """The first n columns are what torch makes of them."""
    inputs, outputs = ({name: array[:n] for name, array in fields.items()} for fields in (inputs, outputs))
    laws = from_manifest(list(constraint_entries().values()), CONSTANTS, TIME_STEP)
    twin = close(laws, {name: torch.from_numpy(array) for name, array in (inputs | outputs).items()}).fields
    for name, raw in outputs.items():
        assert relative(closed[name][:n] - twin[name].numpy(), raw, twin[name].numpy()) <= 1e-12, name


@given(
    kind=st.sampled_from(KINDS),
    n_level=st.integers(1, 40),
    n_column=st.integers(1, 70),
    seed=st.integers(0, 2**20),
    real32=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_number_of_columns_and_levels_closes(
    opened: Opened, kind: str, n_level: int, n_column: int, seed: int, real32: bool
) -> None:
    inputs, outputs = of_kind(kind, n_column, n_level, seed)
    check_closed(opened(n_level), inputs, outputs, np.float32 if real32 else np.float64)


@pytest.mark.real_data
def test_columns_from_the_statistics_of_climsim_close(opened: Opened, real_data: Path) -> None:
    """With tendencies that have its distributions, and so close nothing themselves."""
    grid = built_in_grid(6 * 30**2, 60)
    steps = tuple(generate_climsim(real_data / "climsim/column_statistics.nc", grid, 3, seed=5))
    kinds: tuple[Kind, Kind] = ("mli", "mlo")
    raw = {(offset, kind): steps[2 + offset][kind] for offset in (0, -1, -2) for kind in kinds}
    names = tuple(name for name in (*INPUTS, *OUTPUTS) if name not in (TOA_NET, OLR))
    fields = derive(names, raw, time_step=TIME_STEP, grid=grid)
    rng = np.random.default_rng(5)
    fields |= {TOA_NET: 0.7 * fields[SUNLIGHT], OLR: rng.normal(240.0, 50.0, len(fields[SUNLIGHT]))}
    inputs, outputs = ({name: np.ascontiguousarray(fields[name]) for name in part} for part in (INPUTS, OUTPUTS))
    assert (inputs[SUNLIGHT] == 0.0).any()
    check_closed(opened(60), inputs, outputs, np.float32)
    closed = check_closed(opened(60), inputs, outputs, np.float64)
    check_twin(inputs, outputs, closed)
