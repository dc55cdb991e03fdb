"""What an emulator of a ClimSim variable set reads and returns, and rows packed as ClimSim packs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..physics.constants import Constants
from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES, find
from .data.climsim_sets import ONLINE_ONLY_ZERO, variable_set
from .emulator import EmulatorSpec, Fields
from .features import Feature

TIME_STEP = 1200.0
"""Seconds between ClimSim's files."""

InputKind = Literal["raw", "climate_invariant"]
"""What the network sees of a set: ClimSim's own row, or one that a warmer climate hardly changes."""

Source = tuple[str, tuple[str, ...]]
"""A transform and ClimSim's names of what it reads."""

_STATE = ("state_pmid", "state_t", "state_q0001")
CLIMATE_INVARIANT: Mapping[str, Source] = {
    "state_t": ("plume_buoyancy", _STATE),
    "state_q0001": ("relative_humidity", _STATE),
    "pbuf_LHFLX": ("scaled_latent_heat_flux", ("pbuf_LHFLX", *_STATE)),
}
"""ClimSim's inputs that have a climate-invariant form: its transform, and what that reads, in ClimSim's names."""

_SOURCES: Mapping[str, Source] = {
    "state_rh": ("climsim_relative_humidity", _STATE),
    "state_qn": ("sum", ("state_q0002", "state_q0003")),
    "liq_partition": ("liquid_fraction", ("state_t",)),
}
"""The same of what ClimSim computes before it packs a row."""

CloudExponents = Mapping[str, Sequence[float]]
"""λ of 1 − e^(−λ q), one a level, by ClimSim's name of a cloud input."""

_CLOUD_FILES = {"state_q0002": "qc", "state_q0003": "qi", "state_qn": "qn"}
CLOUD_INPUTS = tuple(_CLOUD_FILES)
"""ClimSim's names of inputs that may enter as 1 − e^(−λ q)."""


def climsim_spec(
    set_name: str,
    *,
    n_level: int = 60,
    time_step: float = TIME_STEP,
    constants: Constants | None = None,
    zero_online_only: bool = True,
    cloud_exponents: CloudExponents | None = None,
    inputs: InputKind = "raw",
) -> EmulatorSpec:
    """The emulator of a variable set: its features are a row of ClimSim's inputs, in ClimSim's order.

    With climate-invariant inputs, the buoyancy of a plume stands where temperature would, relative humidity where
    specific humidity would (sets with `state_rh` keep ClimSim's) and the latent heat flux over the saturation deficit
    where the flux would (Beucler et al. 2024, doi:10.1126/sciadv.adj7250). All else is as in the set: surface pressure,
    sunlight, the other fluxes, clouds, winds, gases, forcing and memory.

    Args:
        set_name: as in `VARIABLE_SETS`.
        n_level: number of layers.
        time_step: [s] of the tendencies.
        constants: of the host, E3SM's unless given.
        zero_online_only: make the features that a coupled run has no values for zero, and need no input for them.
        cloud_exponents: where given, cloud inputs of the set named in it enter as 1 − e^(−λ q).
        inputs: "raw" as in the set, or "climate_invariant".
    Raises:
        EmagramError: if there is no such set or kind of inputs, or an exponent is for no input of it.
    """
    variables = variable_set(set_name)
    exponents = cloud_exponents or {}
    for name in exponents:
        if name not in variables.inputs or name not in _CLOUD_FILES:
            raise EmagramError(f"cloud exponents: expected a cloud input of '{set_name}', got '{name}'")
    if inputs not in get_args(InputKind):
        raise EmagramError(f"inputs of '{set_name}': expected 'raw' or 'climate_invariant', got '{inputs}'")
    # of the zeros any variable of the right size serves: its values do not matter
    sources: dict[str, Source] = {name: ("zero", ("state_ps",)) for name in ONLINE_ONLY_ZERO if zero_online_only}
    sources |= CLIMATE_INVARIANT if inputs == "climate_invariant" else {}
    features = tuple(_feature(name, tuple(exponents.get(name, ())), sources) for name in variables.inputs)
    return EmulatorSpec(
        n_level,
        tuple(dict.fromkeys(name for feature in features for name in feature.inputs)),
        tuple(find(name, "climsim").name for name in variables.outputs),
        features,
        constants=constants or Constants(),
        time_step=time_step,
    )


def read_cloud_exponents(folder: Path, set_name: str) -> dict[str, tuple[float, ...]]:
    """ClimSim's λ of the cloud inputs of a set, from `q?_exp_lambda_large.txt` of its normalisation folder.

    Raises:
        EmagramError: if there is no such set, or a file is missing or is not one positive number a level.
    """
    clouds = [name for name in variable_set(set_name).inputs if name in _CLOUD_FILES]
    return {name: _read_exponents(Path(folder) / f"{_CLOUD_FILES[name]}_exp_lambda_large.txt") for name in clouds}


def pack_inputs(spec: EmulatorSpec, fields: Mapping[str, Tensor]) -> Tensor:
    """Rows of features before normalisation, (n_column, n_in), float64: of a ClimSim set, ClimSim's input rows."""
    features = [feature.evaluate(fields, constants=spec.constants) for feature in spec.features]
    return torch.cat(features, dim=1)


def pack_outputs(spec: EmulatorSpec, fields: Mapping[str, Tensor]) -> Tensor:
    """Rows of outputs, (n_column, n_out), float64: of a ClimSim set, ClimSim's target rows before scaling."""
    return torch.cat([fields[name].reshape(fields[name].shape[0], -1) for name in spec.outputs], dim=1)


def unpack_outputs(spec: EmulatorSpec, rows: Tensor) -> Fields:
    """Named outputs of rows, the inverse of `pack_outputs`.

    Raises:
        EmagramError: if the rows are not of the size of the spec.
    """
    n_out = sum(spec.size(name) for name in spec.outputs)
    if rows.ndim != 2 or rows.shape[1] != n_out:
        raise EmagramError(f"rows of outputs: expected shape (n_column, {n_out}), got {tuple(rows.shape)}")
    scalar = {name for name in spec.outputs if VARIABLES[name].dimension == "column"}
    return {name: rows[:, at.start] if name in scalar else rows[:, at] for name, at in spec.output_slices()}


def _feature(name: str, exponents: tuple[float, ...], sources: Mapping[str, Source]) -> Feature:
    """How one input of a set comes from our variables: as `sources` says before anything else."""
    transform, aliases = sources.get(name) or _SOURCES.get(name, ("identity", (name,)))
    inputs = tuple(find(alias, "climsim").name for alias in aliases)
    return Feature("one_minus_exp", inputs, exponents) if exponents else Feature(transform, inputs)


def _read_exponents(path: Path) -> tuple[float, ...]:
    expected = f"file '{path}': expected one positive number a level"
    try:
        values = np.loadtxt(path, delimiter=",", ndmin=1, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise EmagramError(f"{expected}, got '{error}'") from error
    if values.ndim != 1 or values.size == 0 or not (np.isfinite(values) & (values > 0.0)).all():
        raise EmagramError(f"{expected}, got others")
    return tuple(values.tolist())
