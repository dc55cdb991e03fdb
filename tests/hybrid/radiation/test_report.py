"""The report of a run: whole, self-contained, honest about what it was given."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import torch
import xarray as xr

from emagram.emulators.data.columns import RADIATION_INPUTS, RADIATION_OUTPUTS, write_columns
from emagram.emulators.data.generated import generate_columns
from emagram.emulators.radiation import radiation_constraints
from emagram.hybrid.radiation.figures import CLOSURE_LIMIT
from emagram.hybrid.radiation.report import write_report
from emagram.hybrid.radiation.report_tables import SCORES
from emagram.hybrid.radiation.results import read_results
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from pages import Page, pictures_of_self_contained, read, words

N_SITE, N_LEVEL = 8, 12
HELDOUT = "+4K"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f00010501012718e3660000"
    "000049454e44ae426082"
)
HEADINGS = (
    "Verdict",
    "What was done",
    "Accuracy on unseen columns",
    "Closure of column energy",
    "Training",
    "Programs and bits",
    "Arithmetic",
    "Limits",
    "How to repeat it",
)


def scores_row(emulator: str, features: str, columns: str, *, error: float, r2: float) -> dict[str, Any]:
    members = 3 if emulator == "dense" else 1
    row: dict[str, Any] = {"emulator": emulator, "features": features, "columns": columns, "members": members}
    for score in SCORES:
        value = r2 if score.key.endswith("_r2") else error
        row |= {f"{score.key}_mean": value, f"{score.key}_spread": 0.125}
        if score.bias:
            row |= {f"{score.bias}_mean": -0.5, f"{score.bias}_spread": 0.0}
    return row


def summary_of(columns: xr.Dataset) -> dict[str, Any]:
    scores = []
    for name, factor in (("test_site_train_climate", 1.0), ("test_site_heldout_climate", 1.5)):
        scores += [
            scores_row("dense", "raw", name, error=4.0 * factor, r2=0.42),
            scores_row("ridge", "raw", name, error=6.0 * factor, r2=0.3),
            scores_row("level mean", "", name, error=9.0, r2=-0.1),
        ]
    programs = [
        {
            "label": f"{language}, 2 ranks, chunks of 64",
            "command": f"mpirun {language}",
            "seconds": 0.5,
            "sha256": "ab" * 32,
        }
        for language in ("Fortran", "Python", "C")
    ]
    return {
        "emagram": "0.1.0",
        "truth": columns.attrs["truth"],
        "licence": columns.attrs["licence"],
        "quick": True,
        "ranks": 2,
        "columns": columns.sizes["column"],
        "heldout_climates": [HELDOUT],
        "folds": [0, 1],
        "split": {"train": 40, "validation": 4, "test_site_train_climate": 8, "test_site_heldout_climate": 8},
        "scores": scores,
        "best": {"fold": 0, "features": "raw", "seed": 1, "validation_loss": 1.25},
        "model": {"name": "tiny", "sha256": "cd" * 32, "file": "train/best.emg"},
        "programs": programs,
        "bits_equal": True,
        "native_error": {
            name: {"unit": columns[name].attrs["units"], "native": 1.1e-5, "torch_fp32": 1e-5, "ratio": 1.1}
            for name in RADIATION_OUTPUTS
        },
        "closure": {name: {"before": 31.5, "after": 2e-13} for name in ("longwave", "shortwave")},
        "rejected_columns": 0,
        "seconds": {"data": 1.0, "training": 20.0, "programs": 3.0, "total": 24.0},
    }


def predictions_of(columns: xr.Dataset) -> xr.Dataset:
    """The truth, disturbed by a few per cent and closed again."""
    rng = np.random.default_rng(0)
    fields = {name: torch.from_numpy(columns[name].values) for name in (*RADIATION_INPUTS, *RADIATION_OUTPUTS)}
    for name in RADIATION_OUTPUTS:
        fields[name] = fields[name] * torch.from_numpy(rng.uniform(0.95, 1.05, fields[name].shape))
    for constraint in radiation_constraints(Constants()):
        fields = constraint.apply(fields)
    return xr.Dataset({name: columns[name].copy(data=fields[name].numpy()) for name in RADIATION_OUTPUTS}).reset_coords(
        drop=True
    )


def write_predictions(predictions: xr.Dataset, path: Path) -> None:
    """As the programs do: a column that was rejected holds the fill value."""
    fill = netCDF4.default_fillvals["f8"]
    predictions.to_netcdf(path, encoding={name: {"_FillValue": fill} for name in predictions.data_vars})


COLUMNS = generate_columns(N_SITE, n_level=N_LEVEL, experiments=("Present day (PD)", HELDOUT))
PREDICTIONS = predictions_of(COLUMNS)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder as the demo leaves it."""
    folder = tmp_path / "a run"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "loss.png").write_bytes(PNG)
    write_columns(COLUMNS, folder / "columns.nc")
    write_predictions(PREDICTIONS, folder / "predictions.nc")
    (folder / "summary.json").write_text(json.dumps(summary_of(COLUMNS)))
    return folder


def change_summary(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    summary = json.loads((run / "summary.json").read_text())
    change(summary)
    (run / "summary.json").write_text(json.dumps(summary))


def change_predictions(run: Path, change: Callable[[xr.Dataset], None]) -> None:
    predictions = copy.deepcopy(PREDICTIONS)
    change(predictions)
    write_predictions(predictions, run / "predictions.nc")


def test_report_has_every_section_and_balanced_tags(run: Path) -> None:
    report = write_report(run)
    assert report == run / "report.html"
    page = Page(read(report))
    assert page.open == []
    assert tuple(page.headings) == HEADINGS
    for number in (1, 2, 3, 4):
        assert f"Figure {number}." in words(report)
    assert sum(tag == "table" for tag, _ in page.tags) == 6
    assert "$" not in words(report)  # a placeholder of the template that nothing filled


def test_report_is_self_contained(run: Path) -> None:
    pictures = pictures_of_self_contained(write_report(run))
    assert len(pictures) == 7


def test_report_is_the_same_every_time_and_leaves_nothing_else(run: Path) -> None:
    before = sorted(run.iterdir())
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert sorted(run.iterdir()) == sorted([*before, run / "report.html"])


def test_verdict_says_what_the_numbers_say(run: Path) -> None:
    text = words(write_report(run))
    assert "3 program runs in Fortran, Python and C returned the same bits for 16 columns" in text
    assert "The energy of every column is closed" in text
    assert "against 31.5 W m⁻² without the constraint" in text
    assert "R² = 0.420 ± 0.125 for longwave" in text
    assert "errs by 4.00 ± 0.12 W m⁻² in outgoing longwave: black-box skill is modest" in text
    assert "its error is 1.50 times that in training climates" in text
    assert "better than ridge regression on the same inputs in 8 of 8 scores" in text
    assert "bold the best" in text
    assert read(run / "report.html").count("<b>0.420 ± 0.125</b>") == 4


def test_different_bits_are_not_hidden(run: Path) -> None:
    def differ(summary: dict[str, Any]) -> None:
        summary["bits_equal"] = False
        summary["programs"][1]["sha256"] = "ef" * 32

    change_summary(run, differ)
    text = words(write_report(run))
    assert "returned different bits" in text
    assert text.count("✗ other bits") == 1
    assert "✗ differ" in text


def test_a_library_less_accurate_than_promised_is_marked(run: Path) -> None:
    change_summary(run, lambda summary: summary["native_error"]["toa_outgoing_longwave_flux"].update(ratio=2.5))
    text = words(write_report(run))
    assert text.count("✗ 2.50") == 2  # in the verdict and in the table
    assert text.count("✓ 1.10") == len(RADIATION_OUTPUTS) - 1


def test_closure_is_computed_from_the_predictions_whatever_the_summary_says(run: Path) -> None:
    """A warming of 1 K day-1 in the lowest layer is (cp/g) Δp / 86400 s of energy."""

    def warm(predictions: xr.Dataset) -> None:
        predictions["tendency_of_air_temperature_due_to_longwave_heating"][3, -1] += 1.0 / 86400.0

    closed = read_results(run)
    assert closed.largest_residual("longwave") <= CLOSURE_LIMIT
    assert closed.largest_residual("shortwave") <= CLOSURE_LIMIT
    change_predictions(run, warm)
    thickness = float(np.diff(COLUMNS["air_pressure_at_interface"].values[3, -2:])[0])
    constants = Constants()
    expected = constants.heat_capacity_dry_air / constants.gravity * thickness / 86400.0
    assert read_results(run).largest_residual("longwave") == pytest.approx(expected, rel=1e-10)
    text = words(write_report(run))
    assert "The energy of every column is not closed" in text
    assert "✗" in text


@pytest.mark.parametrize("value", [np.nan, netCDF4.default_fillvals["f8"]], ids=["NaN", "fill value"])
def test_rejected_columns_are_counted_and_left_out(run: Path, value: float) -> None:
    def reject(predictions: xr.Dataset) -> None:
        for name in RADIATION_OUTPUTS:
            predictions[name][1] = value

    change_predictions(run, reject)
    results = read_results(run)
    assert np.flatnonzero(~results.accepted).tolist() == [1]
    assert results.groups[0].index.tolist() == [0, 2, 3, 4, 5, 6, 7]
    assert results.groups[1].index.tolist() == list(range(8, 16))
    text = words(write_report(run))
    assert "The model rejected 1 column; it is left out" in text
    assert "7 columns (unseen sites, training climates)" in text
    assert not re.search(r"\bnan\b", text)


def test_a_whole_group_may_be_rejected(run: Path) -> None:
    def reject(predictions: xr.Dataset) -> None:
        for name in RADIATION_OUTPUTS:
            predictions[name][:8] = np.nan

    change_predictions(run, reject)
    text = words(write_report(run))
    assert "The model rejected 8 columns; they are left out" in text
    assert "(unseen sites, training climates)" not in text
    assert "8 columns (unseen sites, unseen climates)" in text


def test_no_accepted_column_is_an_error(run: Path) -> None:
    def reject(predictions: xr.Dataset) -> None:
        predictions["toa_outgoing_longwave_flux"][:] = np.nan

    change_predictions(run, reject)
    with pytest.raises(EmagramError, match="expected a column with finite outputs, got none"):
        write_report(run)


def test_texts_of_the_summary_cannot_change_the_page(run: Path) -> None:
    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: poison(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [poison(item, key) for item in value]
        structural = key in ("features", "columns", "heldout_climates", "emulator")
        return f'<b onclick="x()">&{value}' if isinstance(value, str) and not structural else value

    summary = poison(json.loads((run / "summary.json").read_text()))
    (run / "summary.json").write_text(json.dumps(summary))
    text = read(write_report(run))
    assert "<b onclick" not in text
    assert "&lt;b onclick=&quot;x()&quot;&gt;&amp;generated: grey radiation" in text
    assert Page(text).open == []


def test_generated_truth_and_licences_are_announced(run: Path) -> None:
    text = words(write_report(run))
    assert "Generated truth." in text
    assert "Not for commercial use." not in text

    change_summary(run, lambda s: s.update(truth="RTE+RRTMGP-181204", licence="fluxes CC BY-NC-SA 4.0"))
    text = words(write_report(run))
    assert "Generated truth." not in text
    assert "must not be redistributed commercially" in text


@pytest.mark.parametrize("name", ["summary.json", "columns.nc", "predictions.nc", "train/loss.png"])
def test_missing_file_is_one_sentence_and_no_report(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(EmagramError, match=re.escape(f"file '{run / name}': expected")) as error:
        write_report(run)
    assert "\n" not in str(error.value)
    assert not (run / "report.html").exists()


def test_truncated_predictions_are_one_sentence(run: Path) -> None:
    path = run / "predictions.nc"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(EmagramError, match="expected a complete NetCDF file"):
        write_report(run)


def test_predictions_of_other_columns_are_refused(run: Path) -> None:
    write_predictions(PREDICTIONS.isel(column=slice(5)), run / "predictions.nc")
    with pytest.raises(EmagramError, match=r"expected dimensions .* of \(16, 12\), got .* of \(5, 12\)"):
        write_report(run)


def test_predictions_in_another_unit_are_refused(run: Path) -> None:
    def other(predictions: xr.Dataset) -> None:
        predictions["tendency_of_air_temperature_due_to_longwave_heating"].attrs["units"] = "K day-1"

    change_predictions(run, other)
    with pytest.raises(EmagramError, match="expected unit 'K s-1', got 'K day-1'"):
        write_report(run)


def test_damaged_or_incomplete_summary_is_one_sentence(run: Path) -> None:
    change_summary(run, lambda summary: summary.pop("closure"))
    with pytest.raises(EmagramError, match="expected a key 'closure', got none"):
        write_report(run)
    (run / "summary.json").write_text("{")
    with pytest.raises(EmagramError, match="expected JSON"):
        write_report(run)
