"""The report of an online run: one HTML page that tells a climate scientist whether and how well it went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..emulators.run_folder import CONFIGURATION_NAME
from .judging.judgement import Judgement
from .markup import fixed, judged, scientific, text
from .page import write_page
from .report_corrections import budgets_table, regimes_table
from .report_demo import demo_flow, demo_notices, demo_section, repeat_demo
from .report_figures import draw_figures
from .report_tables import (
    climate_table,
    closure_table,
    drift_table,
    months_table,
    offline_table,
    precipitation_table,
    speed_table,
    worst_columns_table,
)
from .report_verdict import (
    closes,
    days,
    describe_stop,
    means,
    percent,
    span,
    subject,
    value,
    weather_ratio,
    write_verdict,
)

REPORT_NAME = "report.html"
TEMPLATE = Path(__file__).with_name(REPORT_NAME)
NOTHING = "<p>The run stopped before it completed a day that could be compared.</p>"


def write_report(folder: Path, judgement: Judgement, run: Path, *, demo: Mapping[str, Any] | None = None) -> Path:
    """Write `report.html`, complete or not at all.

    Args:
        folder: where it is written.
        judgement: of the run.
        run: its folder, with `configuration.json` and `budgets.csv`.
        demo: contents of the demo's `summary.json`, for what only a demo has.
    Returns:
        the report.
    Raises:
        EmagramError: if a file of the run is damaged.
        OSError: if the folder cannot be written.
    """
    case = json.loads((run / CONFIGURATION_NAME).read_text(encoding="utf-8"))
    summary_path = run / "summary.json"
    summary = json.loads(summary_path.read_text(encoding="utf-8")) if summary_path.is_file() else {}
    parts = {
        "title": _title(judgement, demo),
        "lead": _lead(judgement, case),
        "verdict": write_verdict(judgement),
        "cards": _cards(judgement),
        "notices": _notices(judgement, demo),
        "means": means(judgement),
        "floors": _floors(judgement),
        "done": demo_flow(demo, case) if demo else _done(judgement, case),
        "demo": demo_section(demo) if demo else "",
        "limits": _limits(judgement, case),
        "repeat": repeat_demo(demo) if demo else _repeat(judgement, run),
        "version": text(__version__),
        "hash": text(judgement.model_sha256 or "none"),
        "state": text(summary.get("state_sha256") or "none"),
    }
    return write_page(folder / REPORT_NAME, TEMPLATE, parts | _sections(judgement, run))


def _sections(judgement: Judgement, run: Path) -> dict[str, str]:
    """Figures and tables of each section."""
    figures = draw_figures(judgement, run)
    sections = {
        "series": figures["time-series"],
        "climate": (
            climate_table(judgement)
            + figures["zonal-bias"]
            + figures["level-profiles"]
            + figures["scores"]
            + months_table(judgement)
        ),
        "precipitation": _precipitation(judgement) + figures["precipitation"] + precipitation_table(judgement),
        "offline": offline_table(judgement) or "<p>No folder of a study was given.</p>",
        "budgets": closure_table(judgement) + figures["residuals"] + figures["conservation"] + drift_table(judgement),
        "growth": _growth(judgement) + figures["error-growth"],
        "interventions": _interventions(judgement) + figures["interventions"] + worst_columns_table(judgement),
        "corrections": (
            budgets_table(judgement) + figures["corrections"] + figures["regimes"] + regimes_table(judgement)
        ),
        "speed": figures["speed"] + speed_table(judgement),
    }
    return {name: section or NOTHING for name, section in sections.items()}


def _title(judgement: Judgement, demo: Mapping[str, Any] | None) -> str:
    if demo:
        return "A learned column physics, coupled and judged"
    return f"Online run {text(judgement.run)}"


def _lead(judgement: Judgement, case: Mapping[str, Any]) -> str:
    columns = case["grid"].get("n_column")
    many = f"{text(columns)} columns of atmosphere" if columns else "Columns of atmosphere"
    return (
        f"{many} all over the Earth were stepped by {subject(judgement)}, and are compared with the same columns "
        f"under conventional physics, over {days(judgement.last_day - judgement.first_day)}. This page reports one "
        f"such run of Emagram {text(__version__)}."
    )


def _cards(judgement: Judgement) -> str:
    """The verdict at a glance."""
    cards = [_stability_card(judgement), *_closure_cards(judgement), *_climate_cards(judgement)]
    speed = judgement.speed
    if speed.physics_speedup is not None and speed.step_speedup is not None:
        note = f"the conventional physics; {value(speed.step_speedup)} × in the whole step"
        cards.append(("speed", f"{value(speed.physics_speedup)} ×", note))
    items = [f'<li><span class="title">{title}</span><b>{number}</b>{note}</li>' for title, number, note in cards]
    return '<ul class="cards">\n' + "\n".join(items) + "\n</ul>"


def _stability_card(judgement: Judgement) -> tuple[str, str, str]:
    survival = judgement.survival
    reached = judged(days(float(fixed(survival.online_days))), survival.survived)
    return "online", reached, f"of {days(survival.asked_days)} within physical bounds"


def _closure_cards(judgement: Judgement) -> list[tuple[str, str, str]]:
    closure = judgement.conservation
    if closure is None:
        return []
    numbers = {"energy": closure.closure_flux_energy_w_m2, "water": closure.closure_flux_water_kg_m2_s}
    notes = {"energy": "W m⁻², largest residual of a column", "water": "kg m⁻² s⁻¹, largest residual of a column"}
    return [(what, judged(scientific(n), bool(closes(judgement, what))), notes[what]) for what, n in numbers.items()]


def _climate_cards(judgement: Judgement) -> list[tuple[str, str, str]]:
    if judgement.climate is None:
        return []
    cards = []
    for variable, title, unit in (
        ("air_temperature", "temperature bias", "K"),
        ("precipitation_flux", "precipitation bias", "mm day⁻¹"),
    ):
        score, floor = judgement.climate.score(variable), weather_ratio(judgement, variable)
        other = "" if floor is None else f"; other weather {value(floor.bias, 2)} and {value(floor.rmse, 2)}"
        cards.append(
            (title, f"{value(score.bias, 2)} {unit}", f"RMSE of {means(judgement)} {value(score.rmse, 2)}{other}")
        )
    return cards


def _notices(judgement: Judgement, demo: Mapping[str, Any] | None) -> str:
    """What must be known before any number is used."""
    notices = [] if demo is None else demo_notices(demo)
    notices += [text(note) for note in judgement.notes]
    items = "".join(f"<li>{notice}</li>" for notice in notices)
    return f'<ul class="notice">{items}</ul>' if notices else ""


def _done(judgement: Judgement, case: Mapping[str, Any]) -> str:
    return (
        f"<p>The case “{text(case['name'])}” was run for {days(float(case['days']))}, seed {text(case['seed'])}; days "
        f"{judgement.first_day:g} to {judgement.last_day:g} are compared with those of “{text(judgement.against)}”.</p>"
    )


def _floors(judgement: Judgement) -> str:
    """Which runs say what an error is worth."""
    kinds = [text(floor.kind) for floor in judgement.floors]
    if not kinds:
        return "There is no replica of the conventional run: what weather by itself does is not known here."
    return f"Conventional replicas set the floors, which no emulator needs to beat; they differ by: {', '.join(kinds)}."


def _precipitation(judgement: Judgement) -> str:
    rain = judgement.precipitation
    if rain is None:
        return ""
    floors = [f"{value(f.precipitation_distance_mm_day)} ({text(f.kind)})" for f in judgement.floors]
    beside = f"; between conventional runs it is {' and '.join(floors)}" if floors else ""
    return (
        f"<p>Rain would have to be shifted by {value(rain.distance_mm_day)} mm day⁻¹ on average to make one of both "
        f"distributions the other (1-Wasserstein distance){beside}.</p>"
    )


def _growth(judgement: Judgement) -> str:
    survival = judgement.survival
    asked = days(survival.asked_days)
    lived = f"survived its {asked}" if survival.survived else f"lived {fixed(survival.online_days)} of {asked}"
    items = [f"The run {lived} online. {describe_stop(judgement)}"]
    for growth in judgement.growth:
        known = growth.doubling_days
        doubling = "no doubling time" if known is None else f"doubled in {value(known)} days"
        items.append(f"{text(growth.label)}. Error of temperature: {doubling} ({text(growth.doubling_note)}).")
    return "<ul>\n" + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"


def _interventions(judgement: Judgement) -> str:
    done = judgement.interventions
    if done is None:
        return "<p>No emulator was at work in the compared days.</p>"
    return (
        f"<p>Rejected: {percent(done.rejected_fraction)} of columns and steps, in {done.rejected_columns} columns at "
        f"least once, on the worst day {percent(done.largest_rejected_fraction)}. Extrapolated: "
        f"{percent(done.extrapolated_fraction)}. {_corrected(judgement)} Before the constraints "
        f"the mean residual of a column was {value(done.mean_residual_before_energy_w_m2)} W m⁻² and "
        f"{scientific(done.mean_residual_before_water_kg_m2_s)} kg m⁻² s⁻¹.</p>"
    )


def _corrected(judgement: Judgement) -> str:
    done = judgement.interventions
    if done is None:
        return ""
    if judgement.corrections is not None and not judgement.corrections.enforced:
        return "The constraints were measured and not enforced: they corrected nothing."
    parts = [
        f"{percent(share)} of the {text(name.replace('_', ' '))} tendency"
        for name, share in done.correction_fraction.items()
        if share is not None
    ]
    return f"Corrected by the constraints, in the mean of magnitudes: {', '.join(parts) or 'nothing'}."


def _limits(judgement: Judgement, case: Mapping[str, Any]) -> str:
    items = [
        "Columns without dynamics: nothing is carried from one to its neighbour, winds are relaxed to given ones, and "
        "large-scale forcing is the same whatever the physics answers.",
        *_relaxation(case["forcing"]),
        f"{span(judgement).capitalize()}; other weather, other climates and longer drifts are not tested here.",
        "The truth is the host's own column physics, which is simple; an emulator of it is no better than it.",
        *(["Floors are of one replica each."] if judgement.floors else []),
        "Times are of one run on one machine, without its other load known.",
    ]
    return "<ul>\n" + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"


def _relaxation(forcing: Mapping[str, Any]) -> list[str]:
    held = [
        f"{name} over {days(forcing[f'{name}_relaxation_days'])}"
        for name in ("temperature", "humidity")
        if forcing[f"{name}_relaxation_days"]
    ]
    held_near = "holds columns near a climate: a bias here is smaller than it would be without."
    return [f"Relaxation of {text(' and of '.join(held))} {held_near}"] if held else []


def _repeat(judgement: Judgement, run: Path) -> str:
    """From the run folders alone."""
    names = [judgement.run, "--against", judgement.against]
    for floor in judgement.floors:
        names += ["--replica", floor.label.split(":")[0]]
    names += ["--offline", "STUDY"] if judgement.offline_r2 else []
    return (
        f"<p>The run folder <code>{text(run.name)}</code> holds <code>configuration.json</code>, versions, budgets, "
        "history and final state of the run; <code>judgement.json</code> holds the numbers of this page. It was made "
        f"by</p>\n<pre><code>emagram report {text(' '.join(names))}</code></pre>"
    )
