import pytest
import torch

from emagram.emulators.features import FEATURE_SETS, LOG_FLOOR, Feature
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
