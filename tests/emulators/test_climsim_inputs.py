"""Climate-invariant inputs of ClimSim sets: which they are, that they hold in a warmer climate, and a study of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import emagram
from emagram.emulators.climsim import CLIMATE_INVARIANT, InputKind, climsim_spec, pack_inputs
from emagram.emulators.climsim_study import ClimsimStudy
from emagram.emulators.climsim_study_config import ClimsimStudyConfig, PartConfig, RecordsConfig
from emagram.emulators.data.climsim_grid import write_grid
from emagram.emulators.data.climsim_sets import VARIABLE_SETS, variable_set
from emagram.emulators.emulator import Fields
from emagram.emulators.export import load_emulator
from emagram.emulators.networks import ClimsimMlpConfig
from emagram.emulators.statistics import stream_normalisation
from emagram.emulators.training.trainer import TrainingConfig
from emagram.physics.climate_invariant import plume_buoyancy, scaled_latent_heat_flux
from emagram.physics.errors import EmagramError
from emagram.physics.thermodynamics import relative_humidity, saturation_specific_humidity
from toy_columns import toy_samples
from toy_series import write_series

N_LEVEL = 12
PRESSURE, TEMPERATURE, HUMIDITY = "air_pressure", "air_temperature", "specific_humidity"
LATENT_HEAT = "surface_upward_latent_heat_flux"
FORMS = {
    "state_t": lambda p, t, q, _: plume_buoyancy(p, t, q),
    "state_q0001": lambda p, t, q, _: relative_humidity(p, t, q),
    "pbuf_LHFLX": lambda p, t, q, flux: scaled_latent_heat_flux(flux, p, t, q)[:, None],
}


@pytest.mark.parametrize("set_name", VARIABLE_SETS)
def test_the_state_is_replaced_and_nothing_else(set_name: str) -> None:
    """Rows keep ClimSim's places."""
    variables = variable_set(set_name)
    raw = climsim_spec(set_name, n_level=N_LEVEL)
    spec = climsim_spec(set_name, n_level=N_LEVEL, inputs="climate_invariant")
    fields = toy_samples(replace(spec, inputs=tuple(dict.fromkeys(spec.inputs + raw.inputs))), 4).inputs
    before, after = pack_inputs(raw, fields), pack_inputs(spec, fields)
    assert before.shape == after.shape
    state = [fields[name] for name in (PRESSURE, TEMPERATURE, HUMIDITY, LATENT_HEAT)]
    replaced = [name for name in variables.inputs if name in CLIMATE_INVARIANT]
    assert {"state_t", "pbuf_LHFLX"} <= set(replaced) <= set(FORMS)
    for name, at in variables.input_slices(N_LEVEL).items():
        expected = FORMS[name](*state) if name in replaced else before[:, at]
        assert torch.equal(after[:, at], expected), name


def warmed(fields: Fields, warming: float) -> Fields:
    """Columns warmer everywhere at the same q / q_s, over a surface whose flux follows the deficit (bulk formula)."""
    pressure, cold = fields[PRESSURE], fields[TEMPERATURE]
    warm = cold + warming
    saturated = [saturation_specific_humidity(pressure, temperature) for temperature in (cold, warm)]
    humidity = fields[HUMIDITY] * saturated[1] / saturated[0]
    drier = (saturated[1] - humidity)[:, -1] / (saturated[0] - fields[HUMIDITY])[:, -1]
    return fields | {TEMPERATURE: warm, HUMIDITY: humidity, LATENT_HEAT: fields[LATENT_HEAT] * drier}


def outside(kind: InputKind, warming: float) -> dict[str, float]:
    """Share of the values of each replaced input beyond the range of four training steps, in another step."""
    spec, wide = (climsim_spec("v2", n_level=N_LEVEL, inputs=each) for each in (kind, "climate_invariant"))
    training = torch.cat([pack_inputs(spec, toy_samples(wide, step).inputs) for step in (2, 3, 4, 5)])
    rows = pack_inputs(spec, warmed(toy_samples(wide, 7).inputs, warming))
    lowest, highest = training.amin(dim=0), training.amax(dim=0)
    rounding = 1e-9 * (highest - lowest)
    beyond: Tensor = (rows < lowest - rounding) | (rows > highest + rounding)
    places = variable_set("v2").input_slices(N_LEVEL)
    return {name: float(beyond[:, places[name]].double().mean()) for name in FORMS}


def test_in_a_warmer_climate_invariant_inputs_stay_where_training_was() -> None:
    """Of the toy's columns 4 K warmer; the same columns unwarmed are within the range of both."""
    for kind in ("raw", "climate_invariant"):
        assert max(outside(kind, 0.0).values()) < 0.01
    raw, invariant = outside("raw", 4.0), outside("climate_invariant", 4.0)
    assert all(share > 0.15 for share in raw.values())
    assert invariant["state_t"] < 0.3 * raw["state_t"]
    assert invariant["state_q0001"] < 0.01
    assert invariant["pbuf_LHFLX"] < 0.01


def test_statistics_in_one_pass_are_those_of_the_features() -> None:
    spec = climsim_spec("v1", n_level=N_LEVEL, inputs="climate_invariant")
    steps = [toy_samples(spec, step) for step in (3, 4, 5)]
    found = stream_normalisation(steps, spec, feature_floor=0.0)
    rows = torch.cat([pack_inputs(spec, samples.inputs) for samples in steps])
    torch.testing.assert_close(found.feature_mean, rows.mean(dim=0), rtol=1e-10, atol=1e-14)
    varied = rows.std(dim=0, correction=0) > 1e-9 * rows.abs().amax(dim=0)
    assert varied[:N_LEVEL].all()
    torch.testing.assert_close(found.feature_scale[varied], rows.std(dim=0, correction=0)[varied], rtol=1e-8, atol=0.0)


def day(first: int, last: int) -> PartConfig:
    return PartConfig(f"0001-02-{first:02d}", f"0001-02-{last:02d}")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ClimsimStudyConfig:
    folder = tmp_path_factory.mktemp("records")
    series = write_series(folder / "present", 4, n_column=24, n_level=7, interval=86400)
    write_grid(series.grid, folder / "grid.nc")
    return ClimsimStudyConfig(
        name="inputs",
        task="climsim",
        records=RecordsConfig(folder / "present", day(1, 2), day(3, 3), day(4, 4), grid=folder / "grid.nc"),
        networks=(ClimsimMlpConfig(hidden=(8,)),),
        seeds=(0,),
        training=TrainingConfig(epochs=1),
    )


@pytest.mark.parametrize(
    ("variables", "inputs", "transforms"),
    [
        ("v2", "climate_invariant", {"plume_buoyancy", "relative_humidity", "scaled_latent_heat_flux"}),
        ("v2_rh", "raw", {"climsim_relative_humidity"}),
        ("v2_rh_mc", "climate_invariant", {"climsim_relative_humidity", "sum", "liquid_fraction", "plume_buoyancy"}),
    ],
)
def test_a_study_trains_scores_and_exports_them(
    config: ClimsimStudyConfig, tmp_path: Path, variables: str, inputs: InputKind, transforms: set[str]
) -> None:
    """What the network sees is written with it, and the native library opens it."""
    summary = ClimsimStudy(replace(config, variables=variables, inputs=inputs), tmp_path / "run").run()
    assert summary["model"]["file"] == "best.emg"
    emulator = load_emulator(tmp_path / "run" / "best.emg")
    assert transforms <= {feature.transform for feature in emulator.spec.features}
    assert emulator.spec.features == climsim_spec(variables, n_level=7, inputs=inputs).features
    model = emagram.open(tmp_path / "run" / "best.emg")
    ordered = {entry["name"] for entry in model.manifest["inputs"] if "monotonic" in entry}
    assert ordered == ({PRESSURE} if inputs == "climate_invariant" else set())


def test_other_kinds_and_climsims_own_normalisation_are_refused(config: ClimsimStudyConfig, tmp_path: Path) -> None:
    with pytest.raises(EmagramError, match="inputs of 'v1': expected 'raw' or 'climate_invariant', got 'rawer'"):
        replace(config, inputs="rawer")
    with pytest.raises(EmagramError, match="expected inputs = 'raw' with ClimSim's 'normalisation', got 'climate_inv"):
        replace(config, inputs="climate_invariant", normalisation=tmp_path)
