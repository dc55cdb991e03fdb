import csv
import dataclasses
import json
from pathlib import Path

import pytest

from emagram.emulators.experiment import Experiment
from emagram.emulators.experiment_config import ExperimentConfig, GeneratedConfig, RfmipConfig, SplitConfig
from emagram.emulators.export import load_emulator
from emagram.emulators.networks.dense import DenseConfig
from emagram.emulators.training.checkpoint import CHECKPOINT_NAME
from emagram.emulators.training.trainer import TrainingConfig
from emagram.physics.errors import EmagramError

HELDOUT = ("+4K", "+4K, const. RH")
CONFIG = ExperimentConfig(
    name="small",
    data=GeneratedConfig("generated", n_site=15, n_level=10),
    split=SplitConfig(HELDOUT, folds=(1, 0)),
    seeds=(0, 1),
    network=DenseConfig((8,)),
    training=TrainingConfig(epochs=4, checkpoint_interval=2),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("a run")
    return folder, Experiment(CONFIG, folder).run()


def test_a_run_folder_holds_everything(run: tuple[Path, dict]) -> None:
    folder, summary = run
    expected = {"configuration.json", "versions.json", "members", "loss.png", "scores.csv", "summary.json", "best.emg"}
    assert {path.name for path in folder.iterdir()} == expected
    assert {path.name for path in (folder / "members").iterdir()} == {
        f"fold{fold}-{features}-{seed}"
        for fold in (0, 1)
        for features in ("raw", "climate_invariant")
        for seed in (0, 1)
    }
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert load_emulator(folder / "best.emg").spec.n_level == 10


def test_every_emulator_is_scored_on_both_sets_of_columns_and_closes(run: tuple[Path, dict]) -> None:
    with (run[0] / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = {(row["emulator"], row["features"], row["seed"]) for row in rows}
    assert len(kinds) == 4 + 2 + 1
    assert len(rows) == 2 * len(kinds)
    for row in rows:
        assert float(row["longwave_residual_after"]) < 1e-10
        assert float(row["shortwave_residual_after"]) < 1e-10
    dense = [row for row in run[1]["scores"] if row["emulator"] == "dense"]
    assert all(row["members"] == 2 and row["outgoing_longwave_rmse_spread"] > 0.0 for row in dense)


def test_the_best_member_is_chosen_by_validation(run: tuple[Path, dict]) -> None:
    folder, summary = run
    least = {}
    for member in (folder / "members").glob("fold1-*"):  # the first fold that the configuration names
        with (member / "log.csv").open(newline="") as file:
            least[member.name] = min(float(row["validation_loss"]) for row in csv.DictReader(file))
    best = min(least, key=least.__getitem__)
    assert best == f"fold1-{summary['best']['features']}-{summary['best']['seed']}"
    assert summary["best"]["validation_loss"] == least[best]


def test_an_interrupted_study_ends_the_same(run: tuple[Path, dict], tmp_path: Path) -> None:
    folder, summary = run
    experiment = Experiment(CONFIG, tmp_path)
    finished = tmp_path / "members" / "fold1-raw-0" / CHECKPOINT_NAME
    finished.parent.mkdir(parents=True)
    finished.write_bytes((folder / "members" / "fold1-raw-0" / CHECKPOINT_NAME).read_bytes())
    assert experiment.run() == summary
    assert (tmp_path / "best.emg").read_bytes() == (folder / "best.emg").read_bytes()
    assert Experiment(CONFIG, tmp_path).run() == summary


def test_a_member_can_be_exported(run: tuple[Path, dict], tmp_path: Path) -> None:
    folder, summary = run
    experiment = Experiment(CONFIG, folder)
    best = summary["best"]
    experiment.export_member(best["fold"], best["features"], best["seed"], tmp_path / "member.emg")
    assert (tmp_path / "member.emg").read_bytes() == (folder / "best.emg").read_bytes()
    with pytest.raises(EmagramError, match="expected a member 'fold1-raw-9'"):
        experiment.export_member(1, "raw", 9, tmp_path / "none.emg")
    assert not (tmp_path / "none.emg").exists()


def test_a_folder_of_another_configuration_is_refused(run: tuple[Path, dict]) -> None:
    with pytest.raises(EmagramError, match="same configuration"):
        Experiment(dataclasses.replace(CONFIG, seeds=(5,)), run[0])


@pytest.mark.parametrize("content", [b"", b'{"name": ', b"\xff"])
def test_a_folder_of_a_damaged_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "configuration.json").write_bytes(content)
    with pytest.raises(EmagramError, match=r"run folder's file '.*configuration\.json': expected JSON, got"):
        Experiment(CONFIG, tmp_path)


def test_every_site_is_scored_by_the_fold_that_holds_it_out(run: tuple[Path, dict]) -> None:
    experiment = Experiment(CONFIG, run[0])
    site = experiment.columns["site"].values
    held_out = [set(site[split.test_site_train_climate]) for split in experiment.splits.values()]
    assert not held_out[0] & held_out[1]
    for split in experiment.splits.values():
        assert not set(site[split.train]) & set(site[split.test_site_train_climate])
    n_test = sum(split.test_site_train_climate.size for split in experiment.splits.values())
    assert run[1]["columns"]["test_site_train_climate"] == n_test


def test_configurations_are_checked() -> None:
    with pytest.raises(EmagramError, match="'folds'"):
        SplitConfig(HELDOUT, folds=(1, 1))
    with pytest.raises(EmagramError, match="'features'"):
        dataclasses.replace(CONFIG, features=("cooked",))
    with pytest.raises(EmagramError, match="'seeds'"):
        dataclasses.replace(CONFIG, seeds=(1, 1))
    with pytest.raises(EmagramError, match="'seeds'"):
        dataclasses.replace(CONFIG, seeds=())


@pytest.mark.real_data
def test_a_network_learns_longwave_fluxes_of_real_columns(real_data: Path, tmp_path: Path) -> None:
    """Heating rates of so few unseen sites are another matter, as `emulators/README.md` says."""
    config = ExperimentConfig(
        name="rfmip",
        data=RfmipConfig("rfmip", real_data / "rfmip"),
        split=SplitConfig((*HELDOUT, '"future"', "PI all"), folds=(4,)),
        seeds=(0,),
        training=TrainingConfig(epochs=20),
    )
    summary = Experiment(config, tmp_path).run()
    scores = {(row["emulator"], row["features"], row["columns"]): row for row in summary["scores"]}
    for columns in ("test_site_train_climate", "test_site_heldout_climate"):
        mean = scores["level mean", "", columns]
        for features in ("raw", "climate_invariant"):
            dense = scores["dense", features, columns]
            for flux in ("outgoing_longwave", "surface_down_longwave"):
                assert dense[f"{flux}_rmse_mean"] < 0.5 * mean[f"{flux}_rmse_mean"]
            assert dense["longwave_residual_after_mean"] < 1e-10
