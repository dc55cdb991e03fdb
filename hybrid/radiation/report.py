"""The report of the radiation story: one HTML page without scripts or outside resources, for screen and paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...emulators.experiment import TEST_SPLITS
from ..demo_tables import programs_table, seconds_table
from ..markup import ARROW, fixed, judged, scientific, text
from ..page import write_page
from .figures import CLOSURE_LIMIT
from .report_figures import closure_figure, fluxes_figure, profiles_figure, training_figure
from .report_tables import (
    LEVEL_MEAN,
    NATIVE_LIMIT,
    NETWORK,
    RIDGE,
    SCORES,
    Row,
    accuracy_tables,
    arithmetic_table,
    closure_table,
    mean_and_spread,
    score_row,
)
from .results import SPECTRA, Results, read_results

TEMPLATE = "report.html"
TRAINING_CLIMATES, HELDOUT_CLIMATES = TEST_SPLITS
STEP_TITLES = {"data": "columns and their truth", "training": "training", "programs": "programs", "total": "all"}
# from the best word down: the smaller R² of longwave and shortwave heating, and what to call it
SKILL = ((0.95, "high"), (0.8, "fair"), (0.0, "modest"), (-np.inf, "nil: a level's mean does better"))


def write_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a run, complete or not at all.

    Args:
        folder: with `summary.json`, `columns.nc`, `predictions.nc` and `train/loss.png`.
    Returns:
        the report.
    Raises:
        EmagramError: if a file of the run is missing, damaged, or does not fit the others.
        OSError: if the folder cannot be written.
    """
    results = read_results(folder)
    summary, path = results.summary, Path(folder) / "report.html"
    parts = {
        "version": text(summary["emagram"]),
        "quick": " in its quick form: one seed and few epochs" if summary["quick"] else "",
        "verdict": _verdict(results),
        "cards": _cards(results),
        "notices": _notices(results),
        "flow": _flow(results),
        "levels": text(results.truth.sizes["level"]),
        "data": _data(results),
        "accuracy": accuracy_tables(results),
        "profiles": profiles_figure(results),
        "fluxes": fluxes_figure(results),
        "closure_table": closure_table(results),
        "closure": closure_figure(results),
        "training": training_figure(results),
        "programs": programs_table(summary["programs"], summary["columns"]),
        "arithmetic": arithmetic_table(results),
        "limits": _limits(results),
        "repeat": _repeat(results),
        "model": text(summary["model"]["name"]),
        "hash": text(summary["model"]["sha256"]),
    }
    return write_page(path, Path(__file__).with_name(TEMPLATE), parts)


def _verdict(results: Results) -> str:
    """Whether it ran as promised, how well it does on unseen sites, how much worse in unseen climates."""
    return "\n".join(f"<p>{part(results)}</p>" for part in (_promises, _skill, _climates))


def _promises(results: Results) -> str:
    bits = "returned <b>the same bits</b>" if results.summary["bits_equal"] else "returned <b>different bits</b>"
    worst = max(results.largest_residual(spectrum) for spectrum in SPECTRA)
    before = max(entry["before"] for entry in results.summary["closure"].values())
    closed = "is closed" if worst <= CLOSURE_LIMIT else "is <b>not closed</b>"
    sentences = [
        f"{len(results.summary['programs'])} program runs in {_languages(results)} {bits} for "
        f"{text(results.summary['columns'])} columns.",
        f"The energy of every column {closed}: heating and net flux differ by at most {scientific(worst)} W m⁻², "
        f"against {fixed(before, 1)} W m⁻² without the constraint.",
    ]
    rejected = int((~results.accepted).sum())
    if rejected:
        which = "1 column; it is" if rejected == 1 else f"{rejected} columns; they are"
        sentences.append(f"The model rejected {which} left out of the pictures and the closure.")
    return " ".join(sentences)


def _skill(results: Results) -> str:
    row = score_row(results, NETWORK, TRAINING_CLIMATES)
    r2 = min(row[f"{spectrum}_heating_r2_mean"] for spectrum in SPECTRA)
    word = next(word for least, word in SKILL if r2 >= least)
    same = [score_row(results, RIDGE, TRAINING_CLIMATES)]
    every = [dict(other) for other in results.summary["scores"] if _names(other) == (RIDGE, TRAINING_CLIMATES)]
    mean = [score_row(results, LEVEL_MEAN, TRAINING_CLIMATES)]
    beaten = [sum(all(score.better(row, other) for other in rows) for score in SCORES) for rows in (same, every, mean)]
    return (
        f"On unseen sites in training climates the network reaches R² = {mean_and_spread(row, 'longwave_heating_r2')} "
        f"for longwave and {mean_and_spread(row, 'shortwave_heating_r2')} for shortwave heating below the 100 hPa "
        f"level, and errs by {mean_and_spread(row, 'outgoing_longwave_rmse')} W m⁻² in outgoing longwave: "
        f"<b>black-box skill is {word}</b>. It does better than ridge regression on the same inputs in {beaten[0]} "
        f"of {len(SCORES)} scores, better than ridge regression on any of the inputs in {beaten[1]}, and better than "
        f"the level mean in {beaten[2]}."
    )


def _names(row: Row) -> tuple[str, str]:
    return row["emulator"], row["columns"]


def _climates(results: Results) -> str:
    near, far = (score_row(results, NETWORK, columns) for columns in TEST_SPLITS)
    longwave, shortwave, outgoing = (
        f"{fixed(far[f'{key}_mean'] / near[f'{key}_mean'])} times"
        for key in ("longwave_heating_rmse", "shortwave_heating_rmse", "outgoing_longwave_rmse")
    )
    return (
        f"In climates it has never seen either, its error is {longwave} that in training climates for longwave "
        f"heating, {shortwave} for shortwave heating and {outgoing} for outgoing longwave."
    )


def _cards(results: Results) -> str:
    """The same at a glance."""
    worst = max(results.largest_residual(spectrum) for spectrum in SPECTRA)
    ratio = max(entry["ratio"] for entry in results.summary["native_error"].values())
    equal = results.summary["bits_equal"]
    cards = [
        ("bits", judged("equal" if equal else "differ", equal), f"{_languages(results)}; ranks, chunks"),
        ("energy", judged(f"{scientific(worst)}", worst <= CLOSURE_LIMIT), "W m⁻², largest residual of a column"),
        ("arithmetic", judged(f"{fixed(ratio)} ×", ratio <= NATIVE_LIMIT), "the error of PyTorch in real32, at most"),
    ]
    titles = ("unseen sites", "unseen climates")
    for title, columns in zip(titles, TEST_SPLITS, strict=True):
        row = score_row(results, NETWORK, columns)
        cards.append((title, f"{fixed(row['outgoing_longwave_rmse_mean'], 1)} W m⁻²", _card_text(row)))
    items = [f'<li><span class="title">{title}</span><b>{value}</b>{note}</li>' for title, value, note in cards]
    return '<ul class="cards">\n' + "\n".join(items) + "\n</ul>"


def _card_text(row: Row) -> str:
    longwave, shortwave = (fixed(row[f"{spectrum}_heating_r2_mean"]) for spectrum in SPECTRA)
    return f"RMSE of outgoing longwave; heating R² {longwave} LW, {shortwave} SW"


def _notices(results: Results) -> str:
    """What must be known about the truth before any number is used."""
    notices = []
    if results.summary["truth"].startswith("generated"):
        notices.append(
            "<b>Generated truth.</b> These columns and their grey radiation come from a built-in generator. The scores "
            "show that the path works, not how well radiation can be learned."
        )
    if _noncommercial(results):
        notices.append(
            "<b>Not for commercial use.</b> The true fluxes are licensed CC BY-NC-SA 4.0. The model file and this "
            "report derive from them and must not be redistributed commercially."
        )
    return "\n".join(f'<p class="notice">{notice}</p>' for notice in notices)


def _noncommercial(results: Results) -> bool:
    return "-NC" in results.summary["licence"]


def _languages(results: Results) -> str:
    """As in "Fortran, Python and C"."""
    names = list(dict.fromkeys(program["label"].split(",")[0] for program in results.summary["programs"]))
    return text(" and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names))


def _flow(results: Results) -> str:
    """The way of a column, drawn as boxes that stack in a narrow window."""
    summary = results.summary
    split, best, ranks = summary["split"], summary["best"], summary["ranks"]
    boxes = (
        ("Columns", f"{text(split['train'])} to train on, {text(split['validation'])} to choose by"),
        ("Network", f"dense, {text(best['features'].replace('_', '-'))} inputs, seed {text(best['seed'])}"),
        ("Model file", f"<code>{text(Path(summary['model']['file']).name)}</code>: weights, units, constraints"),
        ("Programs", f"{_languages(results)} under MPI, {text(ranks)} rank{'s' if ranks != 1 else ''} and others"),
        ("Predictions", f"{text(summary['columns'])} unseen columns, closed"),
    )
    items = [f"<li><b>{title}</b>{note}</li>" for title, note in boxes]
    return '<ol class="flow">\n' + f"\n{ARROW}\n".join(items) + "\n</ol>"


def _data(results: Results) -> str:
    """Truth, sites and climates."""
    summary = results.summary
    labels = list(dict.fromkeys(results.truth["experiment_label"].values.astype(str).tolist()))
    heldout = [label for label in labels if label in summary["heldout_climates"]]
    trained = [label for label in labels if label not in summary["heldout_climates"]]
    items = {
        "Truth": text(summary["truth"]),
        "Unseen sites": _sites(results),
        "Training climates": text("; ".join(trained)),
        "Unseen climates": text("; ".join(heldout)),
    }
    return "<ul>\n" + "\n".join(f"<li><b>{title}:</b> {value}</li>" for title, value in items.items()) + "\n</ul>"


def _sites(results: Results) -> str:
    """Which sites the scores are of, and which the pictures."""
    folds, fold = results.summary["folds"], results.summary["best"]["fold"]
    pictured = f"{np.unique(results.truth['site'].values).size} sites of fold {fold}"
    if len(folds) == 1:
        return f"the {pictured}, in none of the training columns"
    return (
        f"the scores are of {len(folds)} folds together, each site predicted by networks that were trained without it; "
        f"the exported model and the pictures are of the {pictured}"
    )


def _limits(results: Results) -> str:
    n_site = np.unique(results.truth["site"].values).size
    items = [
        "Clear sky only: no clouds, no aerosol.",
        f"Sites are few ({n_site} a fold): other sites may change the scores by more than the spread over seeds, which "
        "measures only how the training varies.",
        f"One vertical grid of {results.truth.sizes['level']} layers; on any other the model file refuses to run.",
        "Only single steps are tested here, never a simulation in which the emulator feeds on its own results. Nothing "
        "here is fit for production.",
        f"Licence of the data: {text(results.summary['licence'] or 'not stated')}."
        + (" What is trained on or drawn from them is for non-commercial use." if _noncommercial(results) else ""),
    ]
    return "<ul>\n" + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"


def _repeat(results: Results) -> str:
    summary = results.summary
    command = f"emagram demo{' --quick' if summary['quick'] else ''} --ranks {summary['ranks']}"
    where = (
        "without <code>EMAGRAM_DATA</code> in the environment"
        if summary["truth"].startswith("generated")
        else "with <code>EMAGRAM_DATA</code> naming the folder that holds the data"
    )
    commands = "\n".join(f"<li><code>{text(program['command'])}</code></li>" for program in summary["programs"])
    return (
        f"<p>After <code>make demo</code> has set everything up, {where}:</p>\n"
        f"<pre><code>{text(command)}</code></pre>\n"
        "<p>The folder of this page holds <code>summary.json</code> (the numbers of this page), "
        "<code>columns.nc</code> (inputs and truth), <code>predictions.nc</code> (what the first program wrote) and "
        "<code>train/</code> (configuration, checkpoints, scores, model file). On one machine a repeated run gives the "
        f'same model file. The programs ran as</p>\n<ol class="commands">\n{commands}\n</ol>\n'
        + seconds_table(summary["seconds"], STEP_TITLES)
    )
