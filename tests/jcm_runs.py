"""Runs of jcm and emulators of its terms, for tests; imports jcm, which is an extra."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jcm.constants as jcm_constants
import numpy as np
import torch
from jcm.forcing import default_forcing
from jcm.model import Model
from jcm.physics.composable_physics import ComposablePhysics
from jcm.physics.physics_term import PhysicsTerm
from jcm.physics.speedy.speedy_coords import get_speedy_coords
from jcm.physics.speedy.speedy_terms import SpeedyUpwardLongwaveRadiation
from jcm.physics_interface import PhysicsState, PhysicsTendency
from numpy.typing import NDArray

from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec, Fields
from emagram.emulators.export import export
from emagram.emulators.features import Feature
from emagram.emulators.networks.dense import DenseConfig
from emagram.emulators.normalisation import fit_normalisation
from emagram.physics.constraints import ColumnEnergy, FluxTerm
from linear_model import CONSTANTS, CONTRAST, HEATING, OUTGOING, PRESSURE, TAU, UPWELLING, equilibrium

DOWNWELLING = "surface_downwelling_longwave_flux_in_air"
TIME_STEP = 1800.0  # [s]
LONGWAVE = "radiation_lw_up"
SPREAD = {"column": 6.0, "level": 4.0, "surface": 4.0}  # [K] of the random states
HUMIDITY_SPREAD = 0.5  # of its logarithm


def coordinates(n_level: int = 8) -> Any:
    """T21 (64 × 32 columns) with SPEEDY's levels."""
    return get_speedy_coords(layers=n_level, spectral_truncation=21)


def state(coords: Any, seed: int = 0) -> PhysicsState:
    """A plausible state of the grid, without orography."""
    rng = np.random.default_rng(seed)
    shape = coords.nodal_shape
    zeros = jnp.zeros(shape)
    temperature = equilibrium(shape[0])[:, None, None] + rng.normal(0.0, 8.0, shape)
    return PhysicsState(
        zeros,
        zeros,
        jnp.asarray(temperature, jnp.float32),
        jnp.asarray(rng.uniform(0.0, 0.01, shape), jnp.float32),
        zeros,
        jnp.asarray(rng.uniform(0.7, 1.03, shape[1:]), jnp.float32),
    )


class Relaxation(PhysicsTerm):
    """What the linear model without fluxes computes, as a term of jcm's own."""

    name = "relaxation"
    category = "radiation"

    def cache_coords(self, coords: Any) -> None:
        at_pole = equilibrium(coords.nodal_shape[0])[:, None, None]
        self.equilibrium = jnp.asarray(at_pole + CONTRAST * np.cos(coords.horizontal.latitudes), jnp.float32)

    def __call__(self, state: Any, diagnostics: dict, *_: Any) -> tuple[Any, dict]:
        heating = -(state.temperature - self.equilibrium) / TAU
        return PhysicsTendency.zeros(state.temperature.shape, temperature=heating), diagnostics


def relaxation_physics() -> ComposablePhysics:
    return ComposablePhysics([Relaxation()], checkpoint_terms=False)


class RecordedLongwave(SpeedyUpwardLongwaveRadiation):
    """SPEEDY's longwave term, which also keeps what an emulator of it would read and return."""

    def __call__(self, state: Any, diagnostics: dict, forcing: Any, terrain: Any) -> tuple[Any, dict]:
        surface = diagnostics["_surface_flux"]
        tendency, after = super().__call__(state, diagnostics, forcing, terrain)
        recorded = {
            "surface_pressure": state.normalized_surface_pressure,
            "air_temperature": state.temperature,
            "specific_humidity": state.specific_humidity,
            UPWELLING: surface.rlus,
            DOWNWELLING: surface.rlds,
            HEATING: tendency.temperature,
            OUTGOING: after["_longwave_rad"].ftop,
        }
        return tendency, {**after, "recorded": recorded}


def run(physics: Any, days: float, coords: Any = None) -> tuple[Model, Any]:
    """A model from rest, and six-hourly states and diagnostics of it."""
    model = Model(coords=coords or coordinates(), physics=physics, time_step=TIME_STEP / 60.0)
    return model, model.run(save_interval=0.25, total_time=days)


def as_columns(field: Any) -> NDArray[np.float64]:
    """(time, [level,] longitude, latitude) as (column, level) or (column), float64."""
    array = np.asarray(field, dtype=np.float64)
    return np.moveaxis(array, 1, -1).reshape(-1, array.shape[1]) if array.ndim == 4 else array.reshape(-1)


def random_longwave(model: Model, states: Any, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """What SPEEDY's longwave makes of states far around those of a run, by jcm itself; (column, …).

    States of one run alone teach a network that neighbouring levels vary together: coupled, it then drifts off.
    """
    rng = np.random.default_rng(seed)
    date = model.date_from_sim_time(0.0)
    forcing = default_forcing(model.coords.horizontal).select(date)
    carry = model.initial_physics_carry()

    @jax.jit
    def longwave(state: Any, sea_surface_temperature: Any) -> dict[str, Any]:
        given = forcing.copy(sea_surface_temperature=sea_surface_temperature)
        diagnostics = carry
        for _ in range(2):  # the second step has the surface's reflection from the first
            diagnostics = model.physics.compute_tendencies(state, given, model.terrain, diagnostics)[1]
        return diagnostics["recorded"]

    found = []
    for i in range(states.temperature.shape[0]):
        one = jax.tree.map(lambda field, i=i: field[i], states)
        shape = one.temperature.shape
        warmer = rng.normal(0.0, SPREAD["column"], shape[1:]) + rng.normal(0.0, SPREAD["level"], shape)
        moister = np.exp(rng.normal(0.0, HUMIDITY_SPREAD, shape))
        sea = forcing.sea_surface_temperature + rng.normal(0.0, SPREAD["surface"], shape[1:])
        one = one.copy(
            temperature=one.temperature + jnp.asarray(warmer, jnp.float32),
            specific_humidity=one.specific_humidity * jnp.asarray(moister, jnp.float32),
        )
        found.append(longwave(one, jnp.asarray(sea, jnp.float32)))
    return {name: as_columns(np.stack([np.asarray(record[name]) for record in found])) for name in found[0]}


def train_longwave(path: Path, recorded: dict[str, NDArray[np.float64]], boundaries: Any) -> Path:
    """A small network fitted to what `random_longwave` found, closed and exported."""
    fields = {name: torch.from_numpy(value) for name, value in recorded.items()}
    surface = float(jcm_constants.p0) * fields.pop("surface_pressure")
    inputs = {PRESSURE: surface[:, None] * torch.tensor(np.asarray(boundaries, float))}
    inputs |= {name: fields[name] for name in ("air_temperature", "specific_humidity", UPWELLING, DOWNWELLING)}
    outputs = {name: fields[name] for name in (HEATING, OUTGOING)}
    fluxes = (FluxTerm(UPWELLING, 1), FluxTerm(DOWNWELLING, -1), FluxTerm(OUTGOING, -1))
    law = ColumnEnergy("longwave", HEATING, PRESSURE, fluxes, CONSTANTS)
    features = tuple(Feature("identity", (name,)) for name in inputs if name != PRESSURE)
    n_level = outputs[HEATING].shape[1]
    spec = EmulatorSpec(n_level, tuple(inputs), tuple(outputs), features, (law,), constants=CONSTANTS)
    torch.manual_seed(0)
    emulator = ColumnEmulator(spec, DenseConfig((96, 96)).build(spec.layout))
    fit_normalisation(emulator, inputs, outputs)
    _fit(emulator, inputs, outputs)
    export(emulator, path, samples=inputs, name="longwave of SPEEDY")
    return path


def _fit(emulator: ColumnEmulator, inputs: Fields, outputs: Fields, n_step: int = 1200) -> None:
    """Least squares of the normalised outputs, in batches."""
    features = emulator.encode(inputs)
    rows = torch.cat([outputs[name].reshape(len(features), -1) for name in emulator.spec.outputs], dim=1)
    targets = ((rows - emulator.output_mean) / emulator.output_scale).float()
    optimiser = torch.optim.Adam(emulator.network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, n_step)
    for _ in range(n_step):
        chosen = torch.randint(len(features), (1024,))
        loss = (emulator.network(features[chosen]) - targets[chosen]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
