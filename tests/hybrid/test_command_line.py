"""The command as a user meets it: verbs that exist work, all others are absent, errors are one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emagram.emulators.data.columns import write_columns
from emagram.emulators.data.generated import generate_columns

ROOT = Path(__file__).resolve().parents[2]


def emagram(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emagram", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def fails(done: subprocess.CompletedProcess[str], message: str, code: int = 1) -> None:
    """A non-zero status and one sentence, no traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert code == 2 or len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very small study, trained through the command line."""
    folder = tmp_path_factory.mktemp("a study")
    text = (ROOT / "configs" / "generated-quick.toml").read_text()
    text = text.replace("epochs = 12", "epochs = 2").replace("n_site = 100", "n_site = 20\nn_level = 12")
    (folder / "small.toml").write_text(text)
    done = emagram("train", folder / "small.toml", "--output", folder / "run")
    assert done.returncode == 0, done.stderr
    assert "unseen sites, unseen climates" in done.stdout
    return folder / "run"


def test_help_lists_exactly_the_verbs_that_work() -> None:
    done = emagram("--help")
    assert done.returncode == 0
    for verb in ("run", "ensemble", "train", "evaluate", "export", "inspect", "report", "bench", "demo"):
        assert f"\n    {verb}" in done.stdout
    for verb in ("forecast", "compile", "replay"):
        fails(emagram(verb), "invalid choice", code=2)
    fails(emagram(), "required", code=2)


def test_a_run_folder_holds_what_is_promised(run_folder: Path) -> None:
    for name in ("configuration.json", "versions.json", "loss.png", "scores.csv", "summary.json", "best.emg"):
        assert (run_folder / name).stat().st_size > 0


def test_a_finished_run_is_read_not_repeated(run_folder: Path) -> None:
    before = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    assert emagram("train", run_folder.parent / "small.toml", "--output", run_folder).returncode == 0
    after = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    assert {p.name for p in before if before[p] != after.get(p)} <= {"loss.png"}


def test_another_configuration_does_not_overwrite_a_run(run_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text((run_folder.parent / "small.toml").read_text().replace("seeds = [0]", "seeds = [1]"))
    fails(emagram("train", other, "--output", run_folder), "expected the same configuration")


def test_inspect_export_and_evaluate(run_folder: Path, tmp_path: Path) -> None:
    best, again = run_folder / "best.emg", tmp_path / "again.emg"
    said = emagram("inspect", best).stdout
    assert "toa_outgoing_longwave_flux  [W m-2]" in said
    assert "budgets:\n  longwave  [W m-2]  by longwave, met up to 1e-09" in said
    assert '"format_version": 1' in emagram("inspect", best, "--json").stdout
    summary = run_folder / "summary.json"
    chosen = json.loads(summary.read_text())["best"]
    done = emagram("export", run_folder, str(chosen["fold"]), chosen["features"], str(chosen["seed"]), again)
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == best.read_bytes()
    write_columns(generate_columns(20, 12, seed=3), tmp_path / "columns.nc")
    done = emagram("evaluate", best, tmp_path / "columns.nc", "--json", tmp_path / "scores.json")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["longwave_residual_after"] < 1e-10 < scores["longwave_residual_before"]


def test_bad_input_is_one_sentence(run_folder: Path, tmp_path: Path) -> None:
    best = run_folder / "best.emg"
    columns = generate_columns(20, 12, seed=3)
    write_columns(columns.drop_vars("air_temperature"), tmp_path / "missing.nc")
    write_columns(generate_columns(20, 10, seed=3), tmp_path / "levels.nc")
    (tmp_path / "broken.emg").write_bytes(best.read_bytes()[:-100])
    (tmp_path / "typo.toml").write_text((ROOT / "configs/generated.toml").read_text().replace("epochs", "epohcs"))
    cases = [
        (("inspect", tmp_path / "none.emg"), "none.emg' cannot be read: No such file or directory"),
        (("inspect", tmp_path / "broken.emg"), "not a zip archive, or truncated"),
        (("train", tmp_path / "none.toml"), "none.toml': expected a readable file"),
        (("train", tmp_path / "typo.toml"), "unknown key 'epohcs'; did you mean 'epochs'?"),
        (("evaluate", best, tmp_path / "none.nc"), "none.nc"),
        (("evaluate", best, tmp_path / "missing.nc"), "air_temperature"),
        (("evaluate", best, tmp_path / "levels.nc"), "expected 12 levels, got 10"),
        (("export", tmp_path, "0", "raw", "0", tmp_path / "x.emg"), "expected a configuration.json"),
        (("export", run_folder, "0", "raw", "99", tmp_path / "x.emg"), "99"),
        (("demo", "--ranks", "0"), "expected at least 1, got 0"),
        (("ensemble", tmp_path / "none.toml"), "none.toml': expected a readable file"),
        (("ensemble", ROOT / "configs/ensemble.toml", "--workers", "0"), "--workers: expected at least 1, got 0"),
        (("ensemble", ROOT / "configs/ensemble.toml", "--output", best), "best.emg"),
    ]
    for arguments, message in cases:
        fails(emagram(*arguments, cwd=tmp_path), message)
    assert not (tmp_path / "x.emg").exists()


def test_real_data_must_be_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emagram", "train", ROOT / "configs" / "rfmip.toml"],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "EMAGRAM_DATA"},
        capture_output=True,
        text=True,
        check=False,
    )
    fails(done, "needs the environment variable EMAGRAM_DATA, not set")
    fails(emagram("train", ROOT / "configs/rfmip.toml", cwd=tmp_path, EMAGRAM_DATA=str(tmp_path)), "rfmip")
