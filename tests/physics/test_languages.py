"""The formulas that exist in Python, Fortran and C++ are one formula; so are the constants and the units."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import emagram
from emagram.fortran_bridge import _bridge
from emagram.physics import thermodynamics
from emagram.physics.constants import Constants
from emagram.physics.constraints import from_manifest
from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics import thermodynamics as fortran_physics
from emagram.physics.units import UNITS
from tiny_model import N_LEVEL, TIME_STEP, tiny_columns

Array = NDArray[np.float64]

# the same operations in the same order, so the last bits at most
TOLERANCE = 1.0e-14

N_POINT = 4001
AIR_TEMPERATURE = np.linspace(150.0, 340.0, N_POINT)  # every branch
AIR_PRESSURE = np.geomspace(1.0, 1.05e5, N_POINT)
SPECIFIC_HUMIDITY = np.geomspace(1.0e-8, 0.05, N_POINT)[::-1].copy()

FORMULAS: dict[str, tuple[Array, ...]] = {
    "saturation_vapor_pressure_liquid": (AIR_TEMPERATURE,),
    "saturation_vapor_pressure_ice": (AIR_TEMPERATURE,),
    "saturation_vapor_pressure": (AIR_TEMPERATURE,),
    "vapor_pressure": (AIR_PRESSURE, SPECIFIC_HUMIDITY),
    "relative_humidity": (AIR_PRESSURE, AIR_TEMPERATURE, SPECIFIC_HUMIDITY),
    "saturation_specific_humidity": (AIR_PRESSURE, AIR_TEMPERATURE),  # from air that cannot saturate
}
NOT_IN_CPP = {"vapor_pressure"}  # it is inside relative_humidity there
TWINS = {"Fortran": fortran_physics, "C++": _bridge}


def in_python(formula: str) -> Array:
    function: Callable[..., torch.Tensor] = getattr(thermodynamics, formula)
    return function(*map(torch.from_numpy, FORMULAS[formula])).numpy()


@pytest.mark.parametrize(
    ("formula", "language"),
    [
        (formula, language)
        for formula in FORMULAS
        for language in TWINS
        if not (formula in NOT_IN_CPP and language == "C++")
    ],
)
def test_twins_agree(formula: str, language: str) -> None:
    got = getattr(TWINS[language], formula)(*FORMULAS[formula])
    np.testing.assert_allclose(got, in_python(formula), rtol=TOLERANCE, atol=0.0)


def test_fortran_is_compiled_with_the_constants_of_python() -> None:
    assert fortran_physics.constants() == Constants()


def test_units_of_the_runtime_are_those_of_python() -> None:
    assert {tuple(row) for row in _bridge.units()} == set(UNITS)


def test_fortran_keeps_the_shape_of_non_contiguous_arrays() -> None:
    air_temperature = np.linspace(250.0, 300.0, 24).reshape(4, 6)[::2, ::-1]
    got = fortran_physics.saturation_vapor_pressure(air_temperature)
    want = thermodynamics.saturation_vapor_pressure(torch.from_numpy(air_temperature.copy())).numpy()
    np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=0.0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([9.0e4], [np.nan], [0.01]), "argument 'air_temperature': expected finite values, got NaN or infinity"),
        (([9.0e4], [-1.0], [0.01]), "argument 'air_temperature': expected values above 0"),
        (([0.0], [280.0], [0.01]), "argument 'air_pressure': expected values above 0"),
        (([9.0e4], [280.0], [np.inf]), "argument 'specific_humidity': expected finite values"),
        (([9.0e4, 8.0e4], [280.0], [0.01, 0.01]), "argument 'air_temperature': expected size 2, got 1"),
    ],
)
def test_fortran_refuses_bad_arguments(arguments: tuple[list[float], ...], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        fortran_physics.relative_humidity(*arguments)


def test_column_energy_is_the_same_in_torch_and_in_the_runtime(tiny_model: Path) -> None:
    """Through a model file: the manifest's entry, applied by both to the same outputs."""
    model = emagram.open(tiny_model, defer_constraints=True)
    inputs = tiny_columns(50, seed=11)
    rng = np.random.default_rng(1)
    outputs = {
        "heating": rng.normal(0.0, 1e-4, (50, N_LEVEL)),
        "toa_outgoing_flux": rng.uniform(150.0, 320.0, 50),
        "surface_downwelling_shortwave_flux": 0.6 * inputs["toa_incoming_shortwave_flux"],
    }
    (law,) = from_manifest(model.manifest["constraints"], Constants.from_manifest(model.manifest["constants"]))
    fields = {name: torch.from_numpy(array.copy()) for name, array in (inputs | outputs).items()}
    before, expected = law.residuals(fields)[law.name].numpy(), law.apply(fields)["heating"].numpy()
    columns = model.columns(50)
    for name, array in (inputs | outputs).items():
        columns.bind(name, array, "column level" if array.ndim > 1 else "column")
    model.constrain(columns, 50, TIME_STEP)
    np.testing.assert_allclose(outputs["heating"], expected, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(columns.budget("column", 50)[0], before, rtol=1e-12, atol=1e-10)
