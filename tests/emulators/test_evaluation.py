import pytest
import torch

from emagram.emulators.baselines import level_mean
from emagram.emulators.emulator import ColumnEmulator
from emagram.emulators.evaluation import ScoredColumns, evaluate, summarise
from emagram.emulators.training.samples import Samples
from radiation import radiation_samples, random_emulator

DAY = 86400.0


class Offset(ColumnEmulator):
    """The truth of some columns plus a constant error of one output, instead of a network."""

    def __init__(self, samples: Samples, name: str, error: float) -> None:
        spec, _ = radiation_samples(2)
        super().__init__(spec, random_emulator(spec, samples).network)
        self.outputs = {key: value + error * (key == name) for key, value in samples.targets.items()}

    def decode(self, values: torch.Tensor, fields: object) -> dict[str, torch.Tensor]:  # noqa: ARG002
        return self.outputs

    def constrain(self, outputs: dict, fields: object) -> dict:  # noqa: ARG002
        return outputs


def scored(weight: torch.Tensor | None = None) -> ScoredColumns:
    _, samples = radiation_samples()
    return ScoredColumns(samples, torch.ones(samples.n_column, dtype=torch.float64) if weight is None else weight)


def test_the_truth_scores_perfectly() -> None:
    columns = scored()
    scores = evaluate(Offset(columns.samples, "", 0.0), columns)
    assert scores["longwave_heating_r2"] == 1.0
    assert all(value == 0.0 for name, value in scores.items() if "rmse" in name or "bias" in name)
    assert scores["longwave_residual_after"] < 1e-10


def test_errors_come_out_in_the_units_of_the_field() -> None:
    columns = scored()
    heating = "tendency_of_air_temperature_due_to_longwave_heating"
    scores = evaluate(Offset(columns.samples, heating, 0.5 / DAY), columns)
    assert scores["longwave_heating_rmse"] == pytest.approx(0.5)
    assert scores["shortwave_heating_rmse"] == 0.0
    scores = evaluate(Offset(columns.samples, "toa_outgoing_longwave_flux", -3.0), columns)
    assert scores["outgoing_longwave_rmse"] == pytest.approx(3.0)
    assert scores["outgoing_longwave_bias"] == pytest.approx(-3.0)
    assert scores["longwave_residual_before"] == pytest.approx(3.0)


def test_the_stratosphere_is_not_scored() -> None:
    columns = scored()
    heating = "tendency_of_air_temperature_due_to_longwave_heating"
    emulator = Offset(columns.samples, "", 0.0)
    emulator.outputs[heating] = columns.samples.targets[heating] + (columns.samples.inputs["air_pressure"] < 1.0e4)
    assert evaluate(emulator, columns)["longwave_heating_rmse"] == 0.0
    emulator.outputs[heating] = columns.samples.targets[heating] + (columns.samples.inputs["air_pressure"] > 9.0e4)
    assert evaluate(emulator, columns)["longwave_heating_rmse"] > 0.0


def test_a_column_without_weight_does_not_count() -> None:
    _, samples = radiation_samples()
    weight = torch.ones(samples.n_column, dtype=torch.float64)
    weight[0] = 0.0
    emulator = Offset(samples, "", 0.0)
    emulator.outputs["toa_outgoing_longwave_flux"][0] += 100.0
    assert evaluate(emulator, scored(weight))["outgoing_longwave_rmse"] == 0.0
    assert evaluate(emulator, scored())["outgoing_longwave_rmse"] > 0.0


def test_the_level_mean_explains_nothing_of_its_own_columns() -> None:
    """With the closure, R² is that of the correction alone; without it and with equal masses it would be 0."""
    spec, samples = radiation_samples()
    scores = evaluate(level_mean(spec, samples), scored())
    assert abs(scores["longwave_heating_r2"]) < 0.3
    assert abs(scores["outgoing_longwave_bias"]) < 1e-9


def test_summaries_give_mean_and_spread_over_seeds() -> None:
    rows = [{"emulator": "dense", "seed": seed, "rmse": float(seed)} for seed in (1, 2, 3)]
    rows.append({"emulator": "ridge", "seed": None, "rmse": 5.0})
    assert summarise(rows, ("emulator",)) == [
        {"emulator": "dense", "members": 3, "rmse_mean": 2.0, "rmse_spread": 1.0},
        {"emulator": "ridge", "members": 1, "rmse_mean": 5.0, "rmse_spread": 0.0},
    ]
