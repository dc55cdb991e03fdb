"""A model file that is linear in its inputs, with weights given and not trained: radiative relaxation of a column.

heating_k = −(T_k − T_eq,k − 20 cos φ) / τ with T_eq rising from 220 K at the top to 280 K below, and τ = 10 days. Where
it is closed, the outgoing flux is 0.6 times the surface's upwelling flux, and the heating is shifted evenly over mass
until the column absorbs what goes in less what goes out.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.export import export
from emagram.emulators.features import Feature
from emagram.emulators.networks.dense import DenseConfig
from emagram.physics.constants import Constants
from emagram.physics.constraints import ColumnEnergy, FluxTerm

HEATING = "tendency_of_air_temperature_due_to_longwave_heating"
OUTGOING = "toa_outgoing_longwave_flux"
UPWELLING = "surface_upwelling_longwave_flux_in_air"
PRESSURE = "air_pressure_at_interface"
CONSTANTS = Constants(gravity=9.81)  # jcm's
TAU = 10 * 86400.0  # [s]
CONTRAST = 20.0  # [K]
TRANSMITTED = 0.6
Array = NDArray[np.float64]


def equilibrium(n_level: int) -> Array:
    """[K] (n_level) at the pole."""
    return np.linspace(220.0, 280.0, n_level)


def linear_inputs(n_column: int, n_level: int = 8, seed: int = 0, *, closed: bool = True) -> dict[str, Array]:
    """Plausible inputs, each (n_column, size) or (n_column)."""
    rng = np.random.default_rng(seed)
    sigma = np.linspace(0.0, 1.0, n_level + 1) ** 1.5
    inputs = {
        PRESSURE: sigma * rng.uniform(0.7e5, 1.04e5, (n_column, 1)),
        "air_temperature": equilibrium(n_level) + rng.normal(0.0, 15.0, (n_column, n_level)),
        "cosine_of_latitude": rng.uniform(0.0, 1.0, n_column),
    }
    return inputs | ({UPWELLING: rng.uniform(150.0, 500.0, n_column)} if closed else {})


def linear_outputs(inputs: dict[str, Array], *, raw: bool = False) -> dict[str, Array]:
    """What the model returns in float64 arithmetic; `raw`: before it is closed."""
    temperature, place = inputs["air_temperature"], inputs["cosine_of_latitude"]
    n_level = temperature.shape[1]
    heating = -(temperature - equilibrium(n_level) - CONTRAST * place[:, None]) / TAU
    if UPWELLING not in inputs:
        return {HEATING: heating}
    outputs = {HEATING: heating, OUTGOING: TRANSMITTED * inputs[UPWELLING]}
    return outputs if raw else close(inputs, outputs)


def close(inputs: dict[str, Array], outputs: dict[str, Array]) -> dict[str, Array]:
    """The outputs with the heating closed against the fluxes."""
    mass = np.diff(inputs[PRESSURE], axis=1) * (CONSTANTS.heat_capacity_dry_air / CONSTANTS.gravity)
    change = residual(inputs, outputs) / mass.sum(axis=1)
    return outputs | {HEATING: outputs[HEATING] - change[:, None]}


def residual(inputs: dict[str, Array], outputs: dict[str, Array]) -> Array:
    """[W m-2] (n_column) What the heating brings less what the fluxes bring, in float64."""
    mass = np.diff(inputs[PRESSURE], axis=1) * (CONSTANTS.heat_capacity_dry_air / CONSTANTS.gravity)
    return (outputs[HEATING].astype(float) * mass).sum(axis=1) - (inputs[UPWELLING] - outputs[OUTGOING].astype(float))


def write_linear_model(
    path: Path,
    n_level: int = 8,
    *,
    closed: bool = True,
    time_step: float | None = None,
    constants: Constants = CONSTANTS,
) -> Path:
    """Write the model file; `closed`: with fluxes and the constraint that closes them."""
    inputs = linear_inputs(400, n_level, seed=3, closed=closed)
    outputs = (HEATING, OUTGOING) if closed else (HEATING,)
    law = ColumnEnergy("longwave", HEATING, PRESSURE, (FluxTerm(UPWELLING, 1), FluxTerm(OUTGOING, -1)), constants)
    spec = EmulatorSpec(
        n_level,
        tuple(inputs),
        outputs,
        tuple(Feature("identity", (name,)) for name in inputs if name != PRESSURE),
        (law,) if closed else (),
        constants=constants,
        time_step=time_step,
    )
    emulator = ColumnEmulator(spec, DenseConfig(()).build(spec.layout))
    _set_weights(emulator, n_level, closed=closed)
    samples = {name: torch.from_numpy(value) for name, value in inputs.items()}
    flat = torch.cat([value.reshape(400, -1) for value in samples.values()], dim=1)
    emulator.input_minimum.copy_(flat.amin(dim=0))
    emulator.input_maximum.copy_(flat.amax(dim=0))
    export(emulator, path, samples=samples, name="linear")
    return path


def _set_weights(emulator: ColumnEmulator, n_level: int, *, closed: bool) -> None:
    """Features less T_eq and over 10 K; the network adds them; outputs times 10 K / τ."""
    emulator.feature_mean[:n_level] = torch.from_numpy(equilibrium(n_level))
    emulator.feature_scale[:n_level] = 10.0
    emulator.output_scale[:n_level] = 10.0 / TAU
    layer = emulator.network[0]
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        layer.weight[:n_level, :n_level] = -torch.eye(n_level)
        layer.weight[:n_level, n_level] = CONTRAST / 10.0
        if closed:
            layer.weight[n_level, n_level + 1] = TRANSMITTED
