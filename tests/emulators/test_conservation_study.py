"""The study of skill against residual on toy records."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
from soft_training import closable_samples, closed_spec, open_emulator

from emagram.emulators.climsim_study_config import ClimateConfig, PartConfig, RecordsConfig
from emagram.emulators.conservation_config import ConservationConfig, VariantConfig
from emagram.emulators.conservation_figure import MORE_COLOURS, draw_skill
from emagram.emulators.conservation_scores import score_conservation
from emagram.emulators.conservation_study import ConservationStudy, summarise
from emagram.emulators.data.climsim_grid import write_grid
from emagram.emulators.networks import DenseConfig
from emagram.emulators.training.budget_objective import BudgetObjectiveConfig
from emagram.emulators.training.combination import ConflictFreeConfig, ShareConfig
from emagram.emulators.training.trainer import TrainingConfig
from emagram.hybrid.verbs import print_scores, read_study
from emagram.physics.constraints import ColumnEnergy, FluxTerm
from emagram.physics.errors import EmagramError
from toy_series import write_series

DAY = 86400
CLOSED = 1e-18
"""[W2 m-4] Above the rounding of closed columns, far below any open one."""
VARIANTS = (
    VariantConfig("free"),
    VariantConfig("LCnet", objective=BudgetObjectiveConfig(ShareConfig(0.5))),
    VariantConfig("ConFIG", objective=BudgetObjectiveConfig(ConflictFreeConfig()), inputs=("raw",)),
    VariantConfig("ACnet", ("residual_levels",)),
    VariantConfig("projection", ("water_and_energy",)),
    VariantConfig("in prediction", ("water_and_energy",), "prediction"),
)


def day(first: int, last: int) -> PartConfig:
    return PartConfig(f"0001-02-{first:02d}", f"0001-02-{last:02d}")


def prepare(folder: Path, warming: float) -> None:
    """Fill in the fluxes at the top, which the toy physics lacks, and change the climate."""
    for path in sorted(folder.glob("*.nc")):
        with netCDF4.Dataset(path, "r+") as file:
            file["state_t"][:] = file["state_t"][:] + warming
            if "mlo" in path.name:
                like = file["cam_out_NETSW"]
                for name, value in {"cam_out_FSNT": 1.3 * like[:] + 5.0, "cam_out_FLUT": 0.0 * like[:] + 240.0}.items():
                    file[name][:] = value + np.arange(like.size) % 7


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ConservationConfig:
    folder = tmp_path_factory.mktemp("toy records")
    series = write_series(folder / "present", 8, n_column=24, n_level=7, interval=DAY)
    write_series(folder / "warm", 2, n_column=24, n_level=7, interval=DAY)
    for name, warming in (("present", 0.0), ("warm", 4.0)):
        prepare(folder / name, warming)
    write_grid(series.grid, folder / "grid.nc")
    return ConservationConfig(
        name="toy",
        task="conservation",
        records=RecordsConfig(folder / "present", day(1, 5), day(6, 6), day(7, 8), grid=folder / "grid.nc", keep=True),
        variants=VARIANTS,
        network=DenseConfig((16,)),
        seeds=(0, 1),
        heldout=(ClimateConfig("+4 K", folder / "warm", day(1, 2)),),
        training=TrainingConfig(epochs=3, batch_size=24, checkpoint_interval=1),
    )


@pytest.fixture(scope="module")
def run(config: ConservationConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("a study")
    return folder, ConservationStudy(config, folder).run()


def skill(folder: Path) -> list[dict[str, str]]:
    with (folder / "skill.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_member_is_scored_in_both_climates(run: tuple[Path, dict]) -> None:
    rows = skill(run[0])
    assert len(rows) == 11 * 2 * 2  # variants and inputs, seeds, climates
    assert {row["columns"] for row in rows} == {"48"}
    assert [row["climate"] for row in rows] == ["present"] * 22 + ["+4 K"] * 22
    assert all(math.isfinite(float(row[name])) for row in rows for name in ("mse", "r2", "residual"))
    assert json.loads((run[0] / "summary.json").read_text()) == run[1]
    assert (run[0] / "skill.png").read_bytes().startswith(b"\x89PNG")


def test_closed_variants_have_no_residual_and_open_ones_do(run: tuple[Path, dict]) -> None:
    for row in skill(run[0]):
        residuals = [float(row[name]) for name in ("residual", "residual_column_water", "residual_column_energy")]
        if row["variant"] in ("ACnet", "projection", "in prediction"):
            assert max(residuals) < CLOSED, row
        else:
            assert min(residuals) > 1e6 * CLOSED, row
        assert residuals[0] == pytest.approx((residuals[1] + residuals[2]) / 2, rel=1e-12)


def test_what_trains_alike_is_trained_once(run: tuple[Path, dict], config: ConservationConfig) -> None:
    """Closing in prediction changes no weight: only what is returned, and so the score."""
    names = {path.name for path in run[0].iterdir() if path.is_dir()}
    assert "free-raw" in names
    assert not any(name.startswith("in_prediction") for name in names)
    assert len(names) == 9
    rows = {(r["variant"], r["inputs"], r["seed"], r["climate"]): float(r["mse"]) for r in skill(run[0])}
    for inputs in ("raw", "climate_invariant"):
        free, closed, trained = (rows[v, inputs, "0", "present"] for v in ("free", "in prediction", "projection"))
        assert len({free, closed, trained}) == 3
    studies = {(case.variant.name, case.inputs): case.study for case in config.cases()}
    assert studies["free", "raw"] == studies["in prediction", "raw"] != studies["projection", "raw"]
    assert studies["free", "raw"].constrain == "prediction"
    assert studies["projection", "raw"].constrain == "training"


def test_scores_are_those_of_the_definitions() -> None:
    spec = closed_spec()
    samples = closable_samples(spec)
    emulator = open_emulator(spec, samples).double()  # so that batches of other sizes round alike
    parts = [samples.select(torch.arange(a, b)) for a, b in ((0, 11), (11, 54))]
    found = score_conservation(lambda part: emulator(part.inputs), spec, spec.constraints, parts)
    with torch.no_grad():
        outputs = emulator(samples.inputs)
    mass = np.diff(samples.inputs["air_pressure_at_interface"].numpy(), axis=1) / 9.80616
    wind = np.hypot(samples.inputs["eastward_wind"].numpy(), samples.inputs["northward_wind"].numpy())
    errors, departures = [], []
    for name in spec.outputs:
        factor = {
            "tendency_of_air_temperature_due_to_model_physics": 1004.64 * mass,
            "tendency_of_specific_humidity_due_to_model_physics": 2.501e6 * mass,
            "tendency_of_eastward_wind_due_to_model_physics": wind * mass,
            "lwe_precipitation_rate": 2.501e9,
            "toa_outgoing_longwave_flux": 1.0,
        }.get(name)
        truth, output = samples.targets[name].numpy(), outputs[name].numpy()
        if factor is not None:
            assert found.mse_of[name] == pytest.approx(np.mean((factor * (output - truth)) ** 2), rel=1e-9), name
            errors.append(name)
        departures.append(truth)
    assert len(errors) == 5
    sizes = {name: spec.size(name) for name in spec.outputs}
    assert found.mse == pytest.approx(sum(sizes[n] * found.mse_of[n] for n in sizes) / sum(sizes.values()), rel=1e-12)
    residuals = spec.constraints[0].residuals({**samples.inputs, **outputs})
    water, energy = (float(residuals[name].square().mean()) for name in ("column_water", "column_energy"))
    assert found.residual_of == pytest.approx({"column_water": 2.501e6**2 * water, "column_energy": energy}, rel=1e-9)
    assert found.n_column == 54


def test_the_truth_has_the_best_skill_and_the_level_mean_none() -> None:
    spec = closed_spec()
    samples = closable_samples(spec)
    best = score_conservation(lambda part: part.targets, spec, spec.constraints, [samples])
    assert (best.mse, best.r2) == (0.0, 1.0)
    assert best.residual > 0.0  # the toy does not close
    same = {name: values[:1].expand_as(values) for name, values in samples.inputs.items()}
    alike = replace(samples, inputs=samples.inputs | {"air_pressure_at_interface": same["air_pressure_at_interface"]})
    winds = {name: same[name] for name in ("eastward_wind", "northward_wind")}
    alike = replace(alike, inputs=alike.inputs | winds)
    means = {name: value.mean(dim=0, keepdim=True).expand_as(value) for name, value in alike.targets.items()}
    assert score_conservation(lambda _: means, spec, spec.constraints, [alike]).r2 == pytest.approx(0.0, abs=1e-12)


def test_what_cannot_be_scored_is_refused() -> None:
    spec = closed_spec()
    samples = closable_samples(spec)
    with pytest.raises(EmagramError, match="expected laws that have budgets, got none"):
        score_conservation(lambda part: part.targets, spec, (), [samples])
    with pytest.raises(EmagramError, match="expected at least one column, got none"):
        score_conservation(lambda part: part.targets, spec, spec.constraints, [])
    broken = {name: value.clone() for name, value in samples.targets.items()}
    broken["toa_outgoing_longwave_flux"][3] = math.nan
    with pytest.raises(EmagramError, match="prediction: expected finite values, got NaN or infinity in column 3"):
        score_conservation(lambda _: broken, spec, spec.constraints, [samples])
    heating = ColumnEnergy("heat", spec.outputs[0], "air_pressure_at_interface", (FluxTerm("x", 1),), spec.constants)
    assert heating.budgets[0].unit == "W m-2"


def test_a_summary_has_mean_and_spread_and_the_change_against_the_first() -> None:
    def row(variant: str, seed: int, mse: float) -> dict:
        return {
            "climate": "present", "variant": variant, "inputs": "raw", "seed": seed,
            "mse": mse, "r2": 0.5, "residual": 1.0, "residual_a": 2.0, "mse_x": 3.0,
        }  # fmt: skip

    first, second = summarise([row("a", 0, 1.0), row("a", 1, 3.0), row("b", 0, 2.0), row("b", 1, 4.0)])
    assert (first["mse_mean"], first["mse_spread"], first["members"]) == (2.0, pytest.approx(2.0**0.5), 2)
    assert (first["mse_change"], second["mse_change"]) == (0.0, 0.5)
    assert (second["residual_a_mean"], second["mse_x_mean"], second["mse_x_spread"]) == (2.0, 3.0, 0.0)


def test_a_study_continues_with_the_same_result(run: tuple[Path, dict], config: ConservationConfig) -> None:
    before = {path: path.stat().st_mtime_ns for path in run[0].rglob("checkpoint.pt")}
    assert ConservationStudy(config, run[0]).run() == run[1]
    assert before == {path: path.stat().st_mtime_ns for path in run[0].rglob("checkpoint.pt")}
    with pytest.raises(EmagramError, match="expected the same configuration"):
        ConservationStudy(replace(config, seeds=(0,)), run[0])


def test_scores_are_printed(run: tuple[Path, dict], capsys: pytest.CaptureFixture[str]) -> None:
    print_scores(run[0])
    printed = capsys.readouterr().out
    assert "+4 K, 48 columns (P of the records" in printed
    lines = printed.split("+4 K")[1].splitlines()
    for row in run[1]["skill"]:
        if row["climate"] == "+4 K":
            words = [row["variant"], row["inputs"].removeprefix("climate_"), f"{row['r2_mean']:.3f}"]
            words += [f"{row['mse_mean']:.2f} ± {row['mse_spread']:.2f}"]
            words += [f"{row['residual_mean']:{'.0e' if row['residual_mean'] < 0.01 else '.4g'}}"]
            assert any(all(f" {word} " in f" {line} " for word in words) for line in lines), words


def test_kept_columns_train_to_the_same_bits(config: ConservationConfig, tmp_path: Path) -> None:
    logs = []
    for keep in (True, False):
        records = replace(config.records, keep=keep)
        one = replace(config, records=records, variants=VARIANTS[:1], seeds=(0,), heldout=())
        _, (member,) = ConservationStudy(one, tmp_path / str(keep)).train(one.cases()[0])
        logs.append([row["validation_loss"] for row in member.log])
    assert logs[0] == logs[1]


def test_bad_studies_are_refused(config: ConservationConfig, tmp_path: Path) -> None:
    with pytest.raises(EmagramError, match="study 'variants': expected distinct entries, at least one, got"):
        replace(config, variants=(VariantConfig("a b"), VariantConfig("a_b")))
    with pytest.raises(EmagramError, match="study 'variants': expected distinct entries"):
        replace(config, variants=())
    with pytest.raises(EmagramError, match="variant 'a': expected distinct inputs, at least one, got"):
        VariantConfig("a", inputs=())
    with pytest.raises(EmagramError, match="nearest 'water_and_energy'"):
        replace(config, laws=("water_and_energie",))
    (tmp_path / "a.toml").write_text('task = "conservation"\nname = "a"\n[[variant]]\nname = "b"\n')
    with pytest.raises(EmagramError, match="unknown key 'variant'; did you mean 'variants'"):
        read_study(tmp_path / "a.toml")


@pytest.mark.parametrize("name", ["conservation.toml", "conservation-quick.toml"])
def test_committed_configurations_are_read(name: str) -> None:
    study = read_study(Path(__file__).parents[2] / "configs" / name)
    assert isinstance(study, ConservationConfig)
    assert study.climates == ("present", "+4 K")


def test_a_picture_needs_rows_and_a_colour_each(tmp_path: Path) -> None:
    row = {"climate": "present", "inputs": "raw", "mse_mean": 1.0, "mse_spread": 0.0}
    row |= {"residual_mean": 0.0, "residual_spread": 0.0}
    draw_skill([row | {"variant": "a"}], tmp_path / "one.png")
    with pytest.raises(EmagramError, match="expected 1 to 8 variants, got 0"):
        draw_skill([], tmp_path / "none.png")
    with pytest.raises(EmagramError, match="got 9"):
        draw_skill([row | {"variant": str(n)} for n in range(len(MORE_COLOURS) + 1)], tmp_path / "many.png")
