"""A whole study on toy records: trained, scored in two climates, drawn, exported, and continued."""

import copy
import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import netCDF4
import pytest
import torch

from emagram.emulators.climsim_evaluation import evaluate_columns
from emagram.emulators.climsim_scores import Evaluation
from emagram.emulators.climsim_study import ClimsimStudy, Member
from emagram.emulators.climsim_study_config import ClimateConfig, ClimsimStudyConfig, PartConfig, RecordsConfig
from emagram.emulators.data.climsim_grid import built_in_grid, write_grid
from emagram.emulators.data.climsim_series import find_series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.emulators.emulator import ColumnEmulator
from emagram.emulators.export import load_emulator
from emagram.emulators.networks import ClimsimMlpConfig, GruConfig
from emagram.emulators.statistics import stream_normalisation
from emagram.emulators.training.trainer import TrainingConfig
from emagram.hybrid.command_line import main
from emagram.physics.errors import EmagramError
from toy_series import write_series

DAY = 86400
Way = Literal["training", "prediction"]


def day(first: int, last: int) -> PartConfig:
    return PartConfig(f"0001-02-{first:02d}", f"0001-02-{last:02d}")


def change(folder: Path, name: str, amount: float, dates: tuple[str, ...] = ("",)) -> None:
    """Add to a variable of the files of some days, before and after physics."""
    for path in folder.glob("*.nc"):
        if any(date in path.name for date in dates):
            with netCDF4.Dataset(path, "r+") as file:
                file[name][:] = file[name][:] + amount


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ClimsimStudyConfig:
    folder = tmp_path_factory.mktemp("toy records")
    series = write_series(folder / "present", 8, n_column=24, n_level=7, interval=DAY)
    write_series(folder / "warm", 2, n_column=24, n_level=7, interval=DAY)
    change(folder / "warm", "state_t", 4.0)
    write_grid(series.grid, folder / "grid.nc")
    return ClimsimStudyConfig(
        name="toy",
        task="climsim",
        records=RecordsConfig(folder / "present", day(1, 5), day(6, 6), day(7, 8), grid=folder / "grid.nc"),
        networks=(ClimsimMlpConfig(hidden=(16,)), GruConfig(width=8)),
        seeds=(0, 1),
        heldout=(ClimateConfig("+4 K", folder / "warm", day(1, 2)),),
        training=TrainingConfig(epochs=2),
    )


@pytest.fixture(scope="module")
def run(config: ClimsimStudyConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("a study")
    return folder, ClimsimStudy(config, folder).run()


def test_the_run_folder_holds_everything(run: tuple[Path, dict]) -> None:
    folder, summary = run
    names = {path.name for path in folder.iterdir()}
    assert {"configuration.json", "versions.json", "scores.csv", "climates.csv", "summary.json", "best.emg"} <= names
    assert {"zonal-mean-r2.png", "scores-present.png", "r2-present.png", "budgets-gru.png"} <= names
    assert {path.name for path in (folder / "members").iterdir()} == {
        f"{network}-{seed}" for network in ("climsim_mlp", "gru") for seed in (0, 1)
    }
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert summary["columns"] == {"train": 120, "validation": 24, "test": 48, "present": 48, "+4 K": 48}


def test_every_network_and_output_is_scored_in_both_climates(run: tuple[Path, dict]) -> None:
    scores = {(row["data"], row["network"], row["variable"]): row for row in run[1]["scores"]}
    assert len(scores) == 2 * 2 * 10
    assert all(row["members"] == 2 and row["mae_spread"] > 0.0 for row in scores.values())
    with (run[0] / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ensembles = [row for row in rows if row["network"] == "gru ensemble"]
    assert len(ensembles) == 10
    assert all(float(row["crps_mean"]) >= 0.0 for row in ensembles)
    with (run[0] / "climates.csv").open(newline="") as file:
        assert {row["heldout"] for row in csv.DictReader(file)} == {"+4 K"}


def test_a_climate_is_scored_on_its_own_records(config: ClimsimStudyConfig, run: tuple[Path, dict]) -> None:
    """And the members are those that training kept, not others."""
    study = ClimsimStudy(config, run[0])
    members = study.train()
    for climate, name in (("present", "present"), ("+4 K", "+4_K")):
        for member in members:
            want = evaluate_columns(member.emulator, study.climates[climate].ordered(), study.grid)
            folder = run[0] / "members" / f"{member.network}-{member.seed}" / f"evaluation-{name}"
            assert [row["rmse"] for row in Evaluation.read(folder).rows] == [row["rmse"] for row in want.rows]
    rows = {(row["data"], row["network"], row["variable"]): row["rmse_mean"] for row in run[1]["scores"]}
    variable = "tendency_of_air_temperature_due_to_model_physics"
    assert rows["present", "gru", variable] != rows["+4 K", "gru", variable]


def test_only_the_training_records_train(config: ClimsimStudyConfig, run: tuple[Path, dict], tmp_path: Path) -> None:
    """Statistics are of the training days, and other test days change no bit of a member."""
    emulator = load_emulator(run[0] / "best.emg")
    assert int(emulator.n_training_column) == 120
    study = ClimsimStudy(config, run[0])
    train = find_series(config.records.folder).select("0001-02-01", "0001-02-05")
    want = stream_normalisation(ColumnStream(train, study.spec, study.grid).batches(50, seed=3), study.spec)
    torch.testing.assert_close(emulator.feature_mean, want.feature_mean, rtol=1e-12, atol=1e-12)
    shutil.copytree(config.records.folder, tmp_path / "changed")
    change(tmp_path / "changed", "state_t", 10.0, ("02-07", "02-08"))
    other = replace(config, records=replace(config.records, folder=tmp_path / "changed"), seeds=(0,))
    members = ClimsimStudy(other, tmp_path / "run").train()
    for member, same in zip(members, [m for m in study.train() if m.seed == 0], strict=True):
        assert member.log[-1]["validation_loss"] == same.log[-1]["validation_loss"]
        for mine, theirs in zip(member.emulator.parameters(), same.emulator.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_a_climate_of_training_records_is_refused(config: ClimsimStudyConfig, tmp_path: Path) -> None:
    seen = replace(config, heldout=(ClimateConfig("unseen", config.records.folder, day(5, 5)),))
    with pytest.raises(EmagramError, match=r"climate 'unseen': expected files of its own, got .*02-05"):
        ClimsimStudy(seen, tmp_path / "run")


@pytest.mark.parametrize("names", [("present",), ("a b", "a_b")])
def test_climates_whose_files_would_be_one_are_refused(config: ClimsimStudyConfig, names: tuple[str, ...]) -> None:
    climates = tuple(replace(config.heldout[0], name=name) for name in names)
    with pytest.raises(EmagramError, match="study 'heldout': expected distinct entries"):
        replace(config, heldout=climates)


def test_records_of_another_kind_are_refused(config: ClimsimStudyConfig, tmp_path: Path) -> None:
    shutil.copytree(config.records.folder, tmp_path / "celsius")
    change(tmp_path / "celsius", "state_t", -90.0, ("02-07", "02-08"))
    other = replace(config, records=replace(config.records, folder=tmp_path / "celsius"))
    with pytest.raises(EmagramError, match=r"air_temperature.*statistics may be of another data set"):
        ClimsimStudy(other, tmp_path / "run").run()


def test_the_exported_model_is_the_best_that_the_runtime_knows(run: tuple[Path, dict]) -> None:
    model, losses = run[1]["model"], run[1]["validation_loss"]
    assert model["network"] == "climsim_mlp"
    assert losses[f"climsim_mlp-{model['seed']}"] == min(losses["climsim_mlp-0"], losses["climsim_mlp-1"])
    assert load_emulator(run[0] / "best.emg").spec.time_step == 1200.0


def test_the_exported_model_scores_on_records_like_its_member(
    config: ClimsimStudyConfig, run: tuple[Path, dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, best = config.records, run[1]["model"]
    arguments = ["evaluate", run[0] / "best.emg", records.folder, "--grid", records.grid, "--json", tmp_path / "s.json"]
    span = ["--start", records.test.start, "--stop", records.test.stop]
    assert main([*map(str, arguments), *span]) == 0
    assert "2 steps of 24 columns" in capsys.readouterr().out
    folder = run[0] / "members" / f"climsim_mlp-{best['seed']}" / "evaluation-present"
    got, want = (json.loads(path.read_text()) for path in (tmp_path / "s.json", folder / "evaluation.json"))
    assert got["rows"] == want["rows"]
    assert main(["evaluate", str(run[0] / "best.emg"), str(records.folder)]) == 1
    assert "expected a grid of 7 levels, got 60" in capsys.readouterr().err


def test_a_study_continues_with_the_same_result(config: ClimsimStudyConfig, run: tuple[Path, dict]) -> None:
    assert ClimsimStudy(config, run[0]).run() == run[1]


def test_a_study_trains_and_scores_constrained_columns(config: ClimsimStudyConfig, tmp_path: Path) -> None:
    """All constraints but the one that needs fluxes that toy records lack, against the same weights without."""
    names = ("upper_levels", "shortwave", "bounds", "precipitation", "positivity")
    small = replace(config, variables="v2", networks=(GruConfig(width=8),), seeds=(0,), heldout=(), constraints=names)
    study = ClimsimStudy(small, tmp_path / "run")
    (member,) = study.train()
    free = copy.deepcopy(member.emulator)
    free.spec = replace(free.spec, constraints=())
    budgets = [
        evaluate_columns(emulator, study.climates["present"].ordered(), study.grid).budgets
        for emulator in (member.emulator, free)
    ]
    for name in ("C_surface_shortwave", "D_negative_cloud_ice", "D_sunlight_at_night"):
        closed, violated = (every[name]["prediction"]["max_abs"] for every in budgets)
        assert closed <= 1e-16 + 1e-10 * violated < violated, name


CLOSABLE = ("upper_levels", "shortwave", "bounds", "precipitation", "positivity")
"""All but the one that needs fluxes that toy records lack."""


@pytest.fixture(scope="module")
def predicting(config: ClimsimStudyConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[ClimsimStudyConfig, Path]:
    """A study whose constraints hold in prediction alone, and its run folder."""
    small = replace(config, variables="v2", networks=(ClimsimMlpConfig(hidden=(16,)),), seeds=(0,), heldout=())
    predicting = replace(small, constraints=CLOSABLE, constrain="prediction")
    folder = tmp_path_factory.mktemp("predicting")
    ClimsimStudy(predicting, folder).run()
    return predicting, folder


def member(config: ClimsimStudyConfig, folder: Path) -> Member:
    (only,) = ClimsimStudy(config, folder).train()
    return only


def worst(emulator: ColumnEmulator, study: ClimsimStudy) -> dict[str, float]:
    budgets = evaluate_columns(emulator, study.climates["present"].ordered(), study.grid).budgets
    names = ("C_surface_shortwave", "D_negative_cloud_ice", "D_sunlight_at_night")
    return {name: budgets[name]["prediction"]["max_abs"] for name in names}


def test_constraints_in_prediction_do_not_touch_training(
    predicting: tuple[ClimsimStudyConfig, Path], tmp_path: Path
) -> None:
    """Bit for bit the weights and losses of a study without them; the same in training lead to others."""
    ours = member(*predicting)
    free = member(replace(predicting[0], constraints=()), tmp_path / "free")
    seen = member(replace(predicting[0], constrain="training"), tmp_path / "seen")
    weights, others = dict(ours.emulator.network.named_parameters()), dict(seen.emulator.network.named_parameters())
    for name, value in free.emulator.network.named_parameters():
        assert torch.equal(weights[name], value)
        assert not torch.equal(others[name], value)
    for loss in ("train_loss", "validation_loss"):
        assert [row[loss] for row in ours.log] == [row[loss] for row in free.log] != [row[loss] for row in seen.log]


def test_what_predicts_is_closed_all_the_same(predicting: tuple[ClimsimStudyConfig, Path]) -> None:
    """The scores, and the model file with the weights of training; not the network itself."""
    config, folder = predicting
    study, ours = ClimsimStudy(config, folder), member(config, folder)
    written = Evaluation.read(folder / "members" / "climsim_mlp-0" / "evaluation-present")
    exported = load_emulator(folder / "best.emg")
    assert [law.name for law in exported.spec.constraints] == list(CLOSABLE)
    for name, value in exported.network.named_parameters():
        assert torch.equal(value, dict(ours.emulator.network.named_parameters())[name])
    free = copy.deepcopy(ours.emulator)
    free.spec = replace(free.spec, constraints=())
    violated = worst(free, study)
    for closed in (
        {name: written.budgets[name]["prediction"]["max_abs"] for name in violated},
        worst(exported, study),
    ):
        assert all(closed[name] <= 1e-16 + 1e-10 * violated[name] < violated[name] for name in violated)


def stop(epoch: int) -> None:
    raise KeyboardInterrupt(f"after epoch {epoch}")


@pytest.mark.parametrize(("way", "other"), [("training", "prediction"), ("prediction", "training")])
def test_one_way_of_training_does_not_continue_the_other(
    predicting: tuple[ClimsimStudyConfig, Path], tmp_path: Path, way: Way, other: Way
) -> None:
    """Neither in the run folder nor from a checkpoint in another; its own it continues to the same bits."""
    mine = replace(predicting[0], constrain=way, training=TrainingConfig(epochs=2, checkpoint_interval=1))
    theirs = replace(mine, constrain=other)
    study = ClimsimStudy(mine, tmp_path / "stopped")
    normalisation = mine.build_normalisation(study.spec, study.streams["train"])
    with pytest.raises(KeyboardInterrupt, match="after epoch 1"):
        study._train_member(mine.networks[0], 0, normalisation, stop)
    with pytest.raises(EmagramError, match="expected the same configuration"):
        ClimsimStudy(theirs, study.folder)
    shutil.copytree(study.folder / "members", tmp_path / "other" / "members")
    with pytest.raises(EmagramError, match=r"checkpoint .*: expected constraints"):
        member(theirs, tmp_path / "other")
    continued, whole = member(mine, study.folder), member(mine, tmp_path / "whole")
    assert [row["validation_loss"] for row in continued.log] == [row["validation_loss"] for row in whole.log]
    for mine_value, value in zip(continued.emulator.parameters(), whole.emulator.parameters(), strict=True):
        assert torch.equal(mine_value, value)
    assert [law.name for law in continued.emulator.spec.constraints] == list(CLOSABLE)


def test_constraints_hold_in_training_or_in_prediction(config: ClimsimStudyConfig) -> None:
    with pytest.raises(EmagramError, match="study 'constrain': expected 'training' or 'prediction', got 'never'"):
        replace(config, constrain="never")  # type: ignore[arg-type]


def test_a_step_in_two_parts_is_refused(config: ClimsimStudyConfig, tmp_path: Path) -> None:
    overlapping = replace(config, records=replace(config.records, validation=day(5, 6)))
    with pytest.raises(EmagramError, match="expected parts apart in time, got 'train' and 'validation' overlapping"):
        ClimsimStudy(overlapping, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_records_of_another_grid_are_refused(config: ClimsimStudyConfig, tmp_path: Path) -> None:
    write_grid(built_in_grid(30, 7), tmp_path / "grid.nc")
    other = replace(config, records=replace(config.records, grid=tmp_path / "grid.nc"))
    with pytest.raises(EmagramError, match=r"toy\.mli.*expected"):
        ClimsimStudy(other, tmp_path / "run").run()


def test_unknown_sets_and_repeated_entries_are_refused(config: ClimsimStudyConfig) -> None:
    with pytest.raises(EmagramError, match="nearest 'v2_rh_mc'"):
        replace(config, variables="v2_rh_mcc")
    with pytest.raises(EmagramError, match="study 'seeds': expected distinct entries"):
        replace(config, seeds=(1, 1))


@pytest.mark.real_data
def test_climsim_own_normalisation_serves_its_own_baseline(real_data: Path, tmp_path: Path) -> None:
    """With its scales, which shift nothing, the rectified scalars of ClimSim's baseline mean "not negative"."""
    series = write_series(tmp_path / "records", 3, n_column=24, n_level=60, interval=DAY)
    write_grid(series.grid, tmp_path / "grid.nc")
    config = ClimsimStudyConfig(
        name="own",
        task="climsim",
        records=RecordsConfig(tmp_path / "records", day(1, 1), day(2, 2), day(3, 3), grid=tmp_path / "grid.nc"),
        normalisation=real_data / "climsim" / "normalization",
        networks=(ClimsimMlpConfig(hidden=(8,), scalar_output="relu"),),
        seeds=(0,),
        training=TrainingConfig(epochs=1),
    )
    summary = ClimsimStudy(config, tmp_path / "run").run()
    assert summary["model"]["file"] is None
    assert {row["members"] for row in summary["scores"]} == {1}
    with pytest.raises(EmagramError, match="expected ClimSim's 'normalisation' for scalar_output = 'relu'"):
        replace(config, normalisation=None)
    with pytest.raises(EmagramError, match="expected only outputs that ClimSim normalises"):
        replace(config, extra_outputs=("cam_out_FSNT",))
