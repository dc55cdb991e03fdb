import pytest
import torch
from torch import Tensor

from emagram.emulators.emulator import EmulatorSpec
from emagram.emulators.features import FEATURE_SETS, LOG_FLOOR, Feature
from emagram.physics.climate_invariant import plume_buoyancy, scaled_latent_heat_flux
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.thermodynamics import relative_humidity, saturation_specific_humidity

CONSTANTS = Constants()


def test_log_stays_finite_where_a_gas_is_absent() -> None:
    fields = {"x": torch.tensor([0.0, 1.0], dtype=torch.float64)}
    value = Feature("log", ("x",)).evaluate(fields, constants=CONSTANTS)
    assert value.shape == (2, 1)
    assert value[:, 0].tolist() == [torch.log(torch.tensor(LOG_FLOOR, dtype=torch.float64)).item(), 0.0]


def test_relative_humidity_is_one_at_saturation_in_any_climate() -> None:
    pressure = torch.full((2, 3), 8.0e4, dtype=torch.float64)
    temperature = torch.tensor([[260.0, 280.0, 300.0], [264.0, 284.0, 304.0]], dtype=torch.float64)
    fields = {"p": pressure, "t": temperature, "q": saturation_specific_humidity(pressure, temperature)}
    value = Feature("relative_humidity", ("p", "t", "q")).evaluate(fields, constants=CONSTANTS)
    torch.testing.assert_close(value, torch.ones_like(value), rtol=1e-12, atol=0.0)
    assert torch.equal(value, relative_humidity(pressure, temperature, fields["q"]))


def test_climsims_relative_humidity_differs_from_ours_by_its_rounded_constants_and_the_vapour_in_the_air() -> None:
    pressure = torch.full((4, 1), 9.0e4, dtype=torch.float64)
    temperature = torch.tensor([[240.0], [265.0], [285.0], [303.0]], dtype=torch.float64)
    fields = {"p": pressure, "t": temperature, "q": 0.8 * saturation_specific_humidity(pressure, temperature)}
    value = Feature("climsim_relative_humidity", ("p", "t", "q")).evaluate(fields, constants=CONSTANTS)
    ours = relative_humidity(pressure, temperature, fields["q"])
    epsilon = CONSTANTS.epsilon
    rounding = 461.0 / 287.0 * epsilon
    expected = ours * rounding * (1.0 + (1.0 / epsilon - 1.0) * fields["q"])
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0.0)
    moon = Constants(gas_constant_dry_air=188.9)
    again = Feature("climsim_relative_humidity", ("p", "t", "q")).evaluate(fields, constants=moon)
    assert torch.equal(value, again)


def test_simple_transforms() -> None:
    fields = {
        "x": torch.tensor([[1.0, 2.0]], dtype=torch.float64),
        "y": torch.tensor([[4.0, 8.0]], dtype=torch.float64),
    }
    assert Feature("sum", ("x", "y")).evaluate(fields, constants=CONSTANTS).tolist() == [[5.0, 10.0]]
    assert Feature("zero", ("x",)).evaluate(fields, constants=CONSTANTS).tolist() == [[0.0, 0.0]]
    temperature = {"t": torch.tensor([200.0, 253.16, 258.16, 273.16, 300.0], dtype=torch.float64)}
    share = Feature("liquid_fraction", ("t",)).evaluate(temperature, constants=CONSTANTS)
    assert share[:, 0].tolist() == pytest.approx([0.0, 0.0, 0.25, 1.0, 1.0], abs=1e-12)


def test_one_minus_exp_has_a_parameter_a_level_and_keeps_digits_of_thin_cloud() -> None:
    fields = {
        "x": torch.tensor([[1e-20, 2.0]], dtype=torch.float64),
        "y": torch.tensor([[0.0, 1.0]], dtype=torch.float64),
    }
    one = Feature("one_minus_exp", ("x",), (1e3, 0.5)).evaluate(fields, constants=CONSTANTS)
    assert one.tolist()[0] == pytest.approx([1e-17, 0.6321205588285577], rel=1e-14)
    two = Feature("one_minus_exp", ("x", "y"), (1e3, 1.0)).evaluate(fields, constants=CONSTANTS)
    assert two.tolist()[0] == pytest.approx([1e-17, 0.950212931632136], rel=1e-14)


def test_parameters_survive_the_manifest_and_others_have_none() -> None:
    feature = Feature("one_minus_exp", ("x",), (1e3, 0.5))
    assert Feature.from_manifest(feature.to_manifest(2)) == feature
    assert feature.to_manifest(2)["parameters"] == [1e3, 0.5]
    assert "parameters" not in Feature("identity", ("x",)).to_manifest(2)
    with pytest.raises(EmagramError, match="'one_minus_exp': expected parameters, got 0"):
        Feature("one_minus_exp", ("x",))
    with pytest.raises(EmagramError, match="'sum': expected no parameters, got 1"):
        Feature("sum", ("x", "y"), (1.0,))


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS)
def test_features_survive_the_manifest(features: tuple[Feature, ...]) -> None:
    assert tuple(Feature.from_manifest(feature.to_manifest(60)) for feature in features) == features


def test_feature_sets_differ_in_humidity_alone() -> None:
    raw, invariant = set(FEATURE_SETS["raw"]), set(FEATURE_SETS["climate_invariant"])
    assert {feature.transform for feature in invariant - raw} == {"relative_humidity"}
    assert {feature.inputs for feature in raw - invariant} == {("specific_humidity",)}


@pytest.mark.parametrize(
    ("transform", "inputs"),
    [("cube", ("x",)), ("log", ("x", "y")), ("relative_humidity", ("x",)), ("sum", ("x",)), ("zero", ())],
)
def test_unknown_transforms_and_wrong_inputs_are_refused(transform: str, inputs: tuple[str, ...]) -> None:
    with pytest.raises(EmagramError, match="expected"):
        Feature(transform, inputs)


STATE = ("p", "t", "q")


def humid_columns(n_column: int = 3, n_level: int = 4) -> dict[str, Tensor]:
    pressure = torch.linspace(2.0e4, 1.0e5, n_level, dtype=torch.float64).expand(n_column, -1)
    temperature = torch.linspace(280.0, 300.0, n_column, dtype=torch.float64)[:, None] * (pressure / 1e5) ** 0.19
    humidity = 0.8 * saturation_specific_humidity(pressure, temperature)
    flux = torch.linspace(20.0, 150.0, n_column, dtype=torch.float64)
    return {"p": pressure, "t": temperature, "q": humidity, "flux": flux}


def test_climate_invariant_transforms_are_those_of_physics_with_the_hosts_constants() -> None:
    fields, planet = humid_columns(), Constants(gravity=3.7)
    buoyancy = Feature("plume_buoyancy", STATE).evaluate(fields, constants=planet)
    assert torch.equal(buoyancy, plume_buoyancy(*(fields[name] for name in STATE), constants=planet))
    assert not torch.equal(buoyancy, Feature("plume_buoyancy", STATE).evaluate(fields, constants=CONSTANTS))
    moist = Constants(latent_heat_vaporization=1.0e6)
    flux = Feature("scaled_latent_heat_flux", ("flux", *STATE)).evaluate(fields, constants=moist)
    expected = scaled_latent_heat_flux(fields["flux"], *(fields[name] for name in STATE), constants=moist)
    assert torch.equal(flux, expected[:, None])
    assert flux.shape == (3, 1)


def test_a_feature_has_the_size_its_transform_says() -> None:
    assert Feature("plume_buoyancy", STATE).size((60, 60, 60)) == 60
    assert Feature("scaled_latent_heat_flux", ("flux", *STATE)).size((1, 60, 60, 60)) == 1
    assert Feature("sum", ("x", "y")).size((1, 1)) == 1
    with pytest.raises(EmagramError, match=r"'plume_buoyancy' of .*: expected inputs of one size, got sizes \(60, 61"):
        Feature("plume_buoyancy", STATE).size((60, 61, 60))
    for sizes in ((60, 60, 60, 60), (1, 60, 60, 61)):
        with pytest.raises(
            EmagramError, match=r"'scaled_latent_heat_flux' of .*: expected one value a column and then"
        ):
            Feature("scaled_latent_heat_flux", ("flux", *STATE)).size(sizes)
    with pytest.raises(EmagramError, match="'one_minus_exp': expected 3 parameters, got 2"):
        Feature("one_minus_exp", ("x",), (1.0, 2.0)).size((3,))


def test_inputs_in_another_order_are_refused() -> None:
    feature = Feature("scaled_latent_heat_flux", ("flux", "t", "p", "q"))
    with pytest.raises(EmagramError, match="'scaled_latent_heat_flux': expected 't' in Pa, got K"):
        feature.check_units(("W m-2", "K", "Pa", "kg kg-1"))
    Feature("sum", ("t", "p")).check_units(("K", "Pa"))
    names = ("air_temperature", "air_pressure", "specific_humidity")
    with pytest.raises(EmagramError, match="'plume_buoyancy': expected 'air_temperature' in Pa, got K"):
        EmulatorSpec(8, names, ("surface_temperature",), (Feature("plume_buoyancy", names),))
    with pytest.raises(EmagramError, match="expected an input of the emulator, got 'specific_humidity'"):
        EmulatorSpec(8, names[:2], ("surface_temperature",), (Feature("plume_buoyancy", names),))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (humid_columns() | {"p": torch.zeros(3, 4)}, "expected positive values of 'air_pressure', got 0"),
        (humid_columns() | {"t": -humid_columns()["t"]}, "expected positive values of 'air_temperature', got -"),
    ],
)
def test_columns_that_cannot_be_are_refused(fields: dict[str, Tensor], text: str) -> None:
    for feature in (Feature("plume_buoyancy", STATE), Feature("scaled_latent_heat_flux", ("flux", *STATE))):
        with pytest.raises(EmagramError, match=text):
            feature.evaluate(fields, constants=CONSTANTS)
