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


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS)
def test_features_survive_the_manifest(features: tuple[Feature, ...]) -> None:
    assert tuple(Feature.from_manifest(feature.to_manifest(60)) for feature in features) == features


def test_feature_sets_differ_in_humidity_alone() -> None:
    raw, invariant = set(FEATURE_SETS["raw"]), set(FEATURE_SETS["climate_invariant"])
    assert {feature.transform for feature in invariant - raw} == {"relative_humidity"}
    assert {feature.inputs for feature in raw - invariant} == {("specific_humidity",)}


@pytest.mark.parametrize(
    ("transform", "inputs"), [("cube", ("x",)), ("log", ("x", "y")), ("relative_humidity", ("x",))]
)
def test_unknown_transforms_and_wrong_inputs_are_refused(transform: str, inputs: tuple[str, ...]) -> None:
    with pytest.raises(EmagramError, match="expected"):
        Feature(transform, inputs)
