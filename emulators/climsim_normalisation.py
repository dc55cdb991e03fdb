"""The normalisation ClimSim publishes with its variable sets, as statistics of our emulators.

ClimSim's networks see (x − mean) / (max − min), 0 where that is not finite, and are trained on targets times a scale.
What its files hold under mean, max and min is not always that:

- 0 and 1 (humidity, clouds, latitude) say "do not normalise", 0 and a standard deviation the effects of previous
  physics; so the training range of an input is taken from the files of v1 and v2, which hold real extremes, and from
  those of the set only for the forcing by dynamics;
- snow on sea ice was averaged with fills of 1e30: here it enters as it is, in metres;
- the maximum temperature of the top level is 1322 K;
- the ranges of cloud water at the top are down to 1e-45: where a range is that much smaller than at other levels, its
  feature is 0 too, as x / 1e-45 is no float32;
- of the clouds of v2_rh_mc and v4 to v7 the mean is 0 and the range 1, because they enter as 1 − e^(−λ q).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..physics.errors import EmagramError
from ..physics.variables import find
from .climsim import CLOUD_INPUTS, climsim_spec, read_cloud_exponents
from .data.climsim_sets import VariableSet, is_profile, variable_set
from .data.netcdf import open_netcdf, read_dimension
from .emulator import EmulatorSpec
from .statistics import Normalisation, stream_normalisation

__all__ = ["Normalisation", "read_climsim_normalisation", "stream_normalisation"]

Array = NDArray[np.float64]

_SHARED = ("input_mean.nc", "input_max.nc", "input_min.nc")


def _own(name: str, of_outputs: str) -> tuple[str, ...]:
    """The files of a set that has its own."""
    maximum = "input_max_v7.pervar.nc" if name == "v7" else f"input_max_{name}_pervar.nc"  # so named by ClimSim
    inputs = (f"input_mean_{name}_pervar.nc", maximum, f"input_min_{name}_pervar.nc")
    return (*inputs, f"output_scale_std_lowerthred_{of_outputs}.nc")


_FILES = {
    "v1": (*_SHARED, "output_scale.nc"),
    "v2": (*_SHARED, "output_scale.nc"),
    "v2_rh_mc": _own("v2_rh_mc", "v2_rh_mc"),
    # there is no file of v4's outputs; v5's holds them, over the same standard deviations as all of the kind
    "v4": _own("v4", "v5"),
    **{name: _own(name, name) for name in ("v5", "v6", "v7")},
}
_EXPONENTIAL = ("v2_rh_mc", "v4", "v5", "v6", "v7")
"""Sets whose files normalise clouds as 1 − e^(−λ q)."""
NARROWEST = 1e-12
"""Least range of a level that counts, over the largest of the levels."""
_RAW = ("zero", "one_minus_exp")
"""Transforms whose values need no normalisation and that the files know nothing of."""


def read_climsim_normalisation(folder: Path, set_name: str, *, spec: EmulatorSpec | None = None) -> Normalisation:
    """Read ClimSim's own normalisation of a variable set.

    Args:
        folder: ClimSim's normalisation files, all in one.
        set_name: as in `VARIABLE_SETS`.
        spec: made by `climsim_spec` for this set; if None the default one, with the levels of the files and, where
            the set has them, its cloud exponents (`q?_exp_lambda_large.txt` in the folder).
    Raises:
        EmagramError: if there is no such set, ClimSim publishes no normalisation of it, a file or a variable is missing
            or of other levels, a scale is not positive, or the spec is of another set or its
            clouds lack the exponents of the set.
    """
    folder, variables = Path(folder), variable_set(set_name)
    if set_name not in _FILES:
        raise EmagramError(
            f"normalisation of '{set_name}': expected a set that ClimSim publishes one for ({', '.join(_FILES)}), got "
            "one without; gather it from the training columns"
        )
    names = _FILES[set_name]
    with open_netcdf(folder / names[0]) as file:
        n_level = read_dimension(file, "lev")
    if spec is None:
        exponents = read_cloud_exponents(folder, set_name) if set_name in _EXPONENTIAL else None
        spec = climsim_spec(set_name, n_level=n_level, cloud_exponents=exponents)
    _check_spec(spec, variables, n_level)
    mean, largest, smallest = (_read(folder / name, variables.inputs, n_level) for name in names[:3])
    output_scale = _read(folder / names[3], variables.outputs, n_level)
    features = [
        _normalised(name, mean[name], largest[name] - smallest[name], feature.transform in _RAW)
        for name, feature in zip(variables.inputs, spec.features, strict=True)
    ]
    minimum, maximum = _training_range(folder, spec, n_level, {"min": smallest, "max": largest})
    return Normalisation(
        spec,
        _join(centre for centre, _ in features),
        _join(scale for _, scale in features),
        torch.zeros(sum(spec.size(name) for name in spec.outputs), dtype=torch.float64),
        _join(1.0 / output_scale[name] for name in variables.outputs),
        minimum,
        maximum,
        n_column=0,
        source=f"ClimSim's files of '{set_name}'",
    )


def _normalised(name: str, mean: Array, width: Array, is_raw: bool) -> tuple[Array, Array]:
    """Mean and scale of a feature; an infinite scale where ClimSim's (x − mean) / 0 counts as 0, or nearly so."""
    if is_raw or name == "cam_in_SNOWHICE":
        return np.zeros_like(mean), np.ones_like(mean)
    return mean, np.where(width > NARROWEST * width.max(), width, np.inf)


def _training_range(
    folder: Path, spec: EmulatorSpec, n_level: int, of_set: dict[str, dict[str, Array]]
) -> tuple[Tensor, Tensor]:
    """Least and largest training value of every input, infinite where the files have none."""
    alias = {name: find(name).aliases.get("climsim", name) for name in spec.inputs}
    known = set(alias.values())
    with open_netcdf(folder / _SHARED[0]) as file:
        real = tuple(sorted((known & set(file.variables)) - {"cam_in_SNOWHICE"}))
    extremes = {"max": _read(folder / _SHARED[1], real, n_level), "min": _read(folder / _SHARED[2], real, n_level)}
    ends = []
    for end, unknown in (("min", -np.inf), ("max", np.inf)):
        values = extremes[end] | {name: of_set[end][name] for name in known if name.endswith("_dyn")}
        ends.append(_join(values.get(alias[name], np.full(spec.size(name), unknown)) for name in spec.inputs))
    return ends[0], ends[1]


def _check_spec(spec: EmulatorSpec, variables: VariableSet, n_level: int) -> None:
    label = f"normalisation of '{variables.name}'"
    if spec.n_level != n_level:
        raise EmagramError(f"{label}: expected an emulator of {n_level} levels, as its files have, got {spec.n_level}")
    expected = climsim_spec(variables.name, n_level=n_level)
    if len(spec.features) != len(variables.inputs) or spec.outputs != expected.outputs:
        raise EmagramError(f"{label}: expected an emulator of that set, got one with other features or outputs")
    for name, feature, raw in zip(variables.inputs, spec.features, expected.features, strict=True):
        if feature.transform not in (raw.transform, *_RAW):
            raise EmagramError(
                f"{label}: expected '{name}' as ClimSim has it, which its files are for, got transform "
                f"'{feature.transform}'; gather statistics from the training columns"
            )
        if variables.name in _EXPONENTIAL and name in CLOUD_INPUTS and feature.transform not in _RAW:
            raise EmagramError(
                f"{label}: expected '{name}' as 1 − e^(−λ q), which its files are for, got transform "
                f"'{feature.transform}'; give climsim_spec the exponents of read_cloud_exponents"
            )


def _read(path: Path, names: tuple[str, ...], n_level: int) -> dict[str, Array]:
    """Variables of a file, (n_level,) or (1,), float64."""
    values = {}
    with open_netcdf(path) as file:
        for name in names:
            if name not in file.variables:
                raise EmagramError(f"file '{path}': expected variable '{name}', got {sorted(file.variables)}")
            value = np.ma.filled(np.ma.asarray(file.variables[name][...]).astype(np.float64), np.nan).reshape(-1)
            size = n_level if is_profile(name) else 1
            if value.size != size or not np.isfinite(value).all():
                raise EmagramError(f"file '{path}': expected {size} finite values of '{name}', got {value.size}")
            values[name] = value
    return values


def _join(parts: Iterable[Array]) -> Tensor:
    return torch.from_numpy(np.concatenate([np.asarray(part, dtype=np.float64).reshape(-1) for part in parts]))
