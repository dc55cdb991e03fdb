"""Tables of the report of an online run."""

from __future__ import annotations

from .judging.conservation import FLUX_LIMITS, STATE_LIMITS
from .judging.floors import FloorRatio
from .judging.judgement import Judgement
from .judging.precipitation import DRY
from .judging.speed import CONVENTIONAL_PARTS, EMULATOR_PARTS
from .markup import fixed, judged, scientific, table, text, unit
from .report_verdict import UNITS, WEATHER, means, percent, value

LEARNED = {
    "air_temperature": "tendency_of_air_temperature_due_to_model_physics",
    "specific_humidity": "tendency_of_specific_humidity_due_to_model_physics",
    "mass_fraction_of_cloud_liquid_water_in_air": (
        "tendency_of_mass_fraction_of_cloud_liquid_water_in_air_due_to_model_physics"
    ),
    "mass_fraction_of_cloud_ice_in_air": "tendency_of_mass_fraction_of_cloud_ice_in_air_due_to_model_physics",
    "eastward_wind": "tendency_of_eastward_wind_due_to_model_physics",
    "northward_wind": "tendency_of_northward_wind_due_to_model_physics",
    "precipitation_flux": "lwe_precipitation_rate",
    "toa_outgoing_longwave_flux": "toa_outgoing_longwave_flux",
    "toa_net_downward_shortwave_flux": "toa_net_downward_shortwave_flux",
    "surface_net_downward_shortwave_flux": "surface_net_downward_shortwave_flux",
    "surface_downwelling_longwave_flux": "surface_downwelling_longwave_flux_in_air",
}
"""Variables of the history, and what the emulator returns for them."""


def climate_table(judgement: Judgement) -> str:
    """Bias and error of every variable, beside those of other weather where there is such a run."""
    if judgement.climate is None:
        return ""
    labels = {floor.label for floor in judgement.floors if floor.kind == WEATHER}
    floors = {r.variable: r for r in judgement.floor_ratios if r.floor in labels}
    head = ["variable", "mean<br><small>conventional</small>", "bias", "RMSE", "RMSE of<br>the mean"]
    if floors:
        head += ["bias<br><small>other weather</small>", "RMSE<br><small>other weather</small>", "RMSE<br>ratio"]
    rows = []
    for score in judgement.climate.scores:
        numbers = (score.reference_mean, score.bias, score.rmse, score.rmse_of_mean)
        row = [f"{text(score.label)}<br><small>{unit(score.unit)}</small>", *map(value, numbers)]
        rows.append(row + (_floor_cells(floors[score.variable]) if floors else []))
    return table("<b>Beside conventional physics</b>, mean over all compared days", head, rows)


def _floor_cells(ratio: FloorRatio) -> list[str]:
    known = "–" if ratio.rmse_ratio is None else fixed(ratio.rmse_ratio)
    return [value(ratio.bias), value(ratio.rmse), known]


def months_table(judgement: Judgement) -> str:
    """Bias and error by calendar month of what is asked for first."""
    if judgement.climate is None:
        return ""
    chosen = [judgement.climate.score(name) for name in ("air_temperature", "specific_humidity", "precipitation_flux")]
    head = ["month", "days"]
    for score in chosen:
        head += [f"{text(score.label)}<br>bias <small>[{unit(score.unit)}]</small>", "RMSE"]
    rows = []
    for number, month in enumerate(chosen[0].months):
        row = [text(month.name), f"{month.compared_days:g} of {month.month_days}"]
        for score in chosen:
            row += [value(score.months[number].bias), value(score.months[number].rmse)]
        rows.append(row)
    return table("<b>By month</b>, the years counted from 1", head, rows)


def offline_table(judgement: Judgement) -> str:
    """R² offline beside bias and error online."""
    if judgement.climate is None or not judgement.offline_r2:
        return ""
    rows = []
    for score in judgement.climate.scores:
        r2 = judgement.offline_r2.get(LEARNED.get(score.variable, ""))
        if r2 is not None:
            spread = value(score.rmse / score.reference_spread) if score.reference_spread > 0.0 else "–"
            name = f"{text(score.label)}<br><small>{unit(score.unit)}</small>"
            rows.append([name, fixed(r2, 3), value(score.bias), value(score.rmse), spread])
    head = ["variable", "R²<br><small>offline, of its rate or flux</small>", "bias<br><small>online</small>"]
    head += ["RMSE<br><small>online</small>", "RMSE ÷ spread<br><small>online</small>"]
    caption = "<b>The same emulator, offline and online</b>; the spread is that of conventional physics over days, "
    return table(caption + "columns and level", head, rows)


def closure_table(judgement: Judgement) -> str:
    """Largest residuals of the run before and after its constraints, and of the conventional one."""
    ours, theirs = judgement.conservation, judgement.against_conservation
    if ours is None or theirs is None:
        return ""
    rows = []
    for what, name in (("energy", "energy_w_m2"), ("water", "water_kg_m2_s")):
        before = getattr(ours, f"residual_before_{name}")
        flux, state = (float(getattr(ours, f"closure_{kind}_{name}")) for kind in ("flux", "state"))
        rows.append(
            [
                f"{what}<br><small>{UNITS[what]}</small>",
                "–" if before is None else scientific(before),
                judged(scientific(flux), flux <= FLUX_LIMITS[what]),
                judged(scientific(state), state <= STATE_LIMITS[what]),
                scientific(getattr(theirs, f"closure_flux_{name}")),
                scientific(getattr(theirs, f"closure_state_{name}")),
            ]
        )
    head = ["largest of all columns,<br>steps and days", "rates − fluxes<br>before", "rates − fluxes<br>after"]
    head += [
        "state,<br>by day",
        "rates − fluxes<br><small>conventional</small>",
        "state<br><small>conventional</small>",
    ]
    return table("<b>Residuals</b>, before and after the constraints", head, rows)


def drift_table(judgement: Judgement) -> str:
    """Trends of total energy and water, the run beside the conventional one."""
    ours, theirs = judgement.conservation, judgement.against_conservation
    if ours is None or theirs is None or ours.energy_trend_w_m2 is None or theirs.energy_trend_w_m2 is None:
        return ""
    pairs = (
        ("energy of the mean column<br><small>W m⁻²</small>", "energy_trend_w_m2", "difference_energy_trend_w_m2"),
        ("water of the mean column<br><small>mm day⁻¹</small>", "water_trend_mm_day", "difference_water_trend_mm_day"),
    )
    rows = []
    for label, name, difference in pairs:
        values = (getattr(ours, name), getattr(theirs, name), getattr(judgement, difference))
        rows.append([label, *("–" if number is None else value(number) for number in values)])
    rows.append(
        [
            "net downward flux at the top<br><small>W m⁻², mean</small>",
            value(ours.toa_imbalance_w_m2),
            value(theirs.toa_imbalance_w_m2),
            value(ours.toa_imbalance_w_m2 - theirs.toa_imbalance_w_m2),
        ]
    )
    return table("<b>Drift</b>: linear trends over the compared days", ["", "run", "conventional", "difference"], rows)


def precipitation_table(judgement: Judgement) -> str:
    """Dry days and percentiles of both runs."""
    rain = judgement.precipitation
    if rain is None:
        return ""
    rows = [["mean <small>[mm day⁻¹]</small>", value(rain.run.mean_mm_day), value(rain.against.mean_mm_day)]]
    rows.append(
        [
            f"dry ({means(judgement)} &lt; {DRY:g} mm day⁻¹)",
            percent(rain.run.dry_fraction),
            percent(rain.against.dry_fraction),
        ]
    )
    if rain.run.negative_fraction or rain.against.negative_fraction:
        shares = (percent(rain.run.negative_fraction), percent(rain.against.negative_fraction))
        rows.append(["negative", *shares])
    rows += [
        [
            f"percentile {text(name)} <small>[mm day⁻¹]</small>",
            value(amount),
            value(rain.against.percentiles_mm_day[name]),
        ]
        for name, amount in rain.run.percentiles_mm_day.items()
    ]
    return table("<b>Precipitation</b> of the columns, weighted by area", ["", "run", "conventional"], rows)


def speed_table(judgement: Judgement) -> str:
    """Time of a step of a column by part."""
    runs = {"run": judgement.speed.run, "conventional": judgement.speed.against}
    if any(run is None for run in runs.values()):
        return ""
    known = [run for run in runs.values() if run is not None]
    rows = [["<b>whole step</b>", *(value(run.step_microseconds) for run in known)]]
    rows.append(["<b>column physics</b>", *(value(run.physics_microseconds) for run in known)])
    physics = (*CONVENTIONAL_PARTS, *EMULATOR_PARTS)
    others = dict.fromkeys(name for run in known for name in run.part_microseconds if name not in physics)
    for name in (*physics, *others):
        parts = (run.physics_part_microseconds if name in physics else run.part_microseconds for run in known)
        cells = [part.get(name) for part in parts]
        if any(cells):
            rows.append([text(name.replace("_", " ")), *(value(cell) if cell else "–" for cell in cells)])
    rows.append(["columns a second <small>(all ranks)</small>", *(value(run.columns_per_second) for run in known)])
    rows.append(["simulated years a day", *(value(run.simulated_years_per_day) for run in known)])
    rows.append(["ranks", *(text(run.ranks) for run in known)])
    return table("<b>Time of a step of a column</b> on one rank [µs], by part", ["", *runs], rows)


def worst_columns_table(judgement: Judgement) -> str:
    """Where the emulator was rejected most often."""
    done = judgement.interventions
    if done is None or not done.worst_columns:
        return ""
    rows = [
        [text(place.column), fixed(place.latitude, 1), fixed(place.longitude, 1), percent(place.rejected_fraction)]
        for place in done.worst_columns
    ]
    return table(
        "<b>Columns rejected most often</b>", ["column", "latitude [°]", "longitude [°]", "of its steps"], rows
    )
