"""What an online run amounts to, in sentences that say only what its numbers say."""

from __future__ import annotations

from ..emulators.data.noleap import DAYS_OF_YEAR
from .judging.conservation import FLUX_LIMITS, STATE_LIMITS
from .judging.floors import FloorRatio
from .judging.judgement import Judgement
from .markup import fixed, scientific, text

DAYS_OF_SEASON = 92
UNITS = {"energy": "W m⁻²", "water": "kg m⁻² s⁻¹"}
WEATHER = "other weather"


def closes(judgement: Judgement, what: str) -> bool | None:
    """Whether energy or water closes in fluxes and in states; None where no day was compared."""
    closure = judgement.conservation
    if closure is None:
        return None
    name = {"energy": "energy_w_m2", "water": "water_kg_m2_s"}[what]
    of_fluxes, of_states = (float(getattr(closure, f"closure_{kind}_{name}")) for kind in ("flux", "state"))
    return of_fluxes <= FLUX_LIMITS[what] and of_states <= STATE_LIMITS[what]


def weather_ratio(judgement: Judgement, variable: str) -> FloorRatio | None:
    """A variable's score beside that of the replica with other weather; None without one."""
    labels = {floor.label for floor in judgement.floors if floor.kind == WEATHER}
    return next((r for r in judgement.floor_ratios if r.variable == variable and r.floor in labels), None)


def write_verdict(judgement: Judgement) -> str:
    """Paragraphs: stability, closure, climate, skill before and after, speed, and what it is not."""
    paragraphs = (
        _join(_stability(judgement), _interventions(judgement)),
        _closure(judgement),
        _join(_climate(judgement), _offline(judgement)),
        _join(_speed(judgement), _what_it_is_not(judgement)),
    )
    return "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs if paragraph)


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def subject(judgement: Judgement) -> str:
    """Who stepped the columns, as the subject of a sentence."""
    who = {
        "emulator": "the emulator in place of the column physics",
        "blend": "the emulator blended with the column physics",
    }.get(judgement.physics, "conventional column physics")
    names = " and ".join(text(name.replace("_", " ")) for name in judgement.taken)
    return f"{who} for {names} alone" if names else who


def _stability(judgement: Judgement) -> str:
    survival, done, who = judgement.survival, judgement.interventions, subject(judgement)
    if done is not None and done.emulator_share == 0.0:
        return "<b>Nothing is known of the emulator.</b> It had no share in any of the compared steps."
    if survival.stopped is None:
        rejected = 0.0 if done is None else done.rejected_fraction
        help_ = f", with {percent(rejected)} of columns and steps left to the host's physics" if rejected else ""
        return (
            f"<b>It was stable{help_}.</b> With {who} the columns stayed within physical bounds for all "
            f"{days(survival.online_days)} after the spin-up."
        )
    if judgement.stopped_in_spin_up:
        return (
            "<b>Nothing is known of the emulator.</b> Conventional physics left physical bounds in the spin-up, before "
            f"the emulator's first step. {describe_stop(judgement)}"
        )
    return (
        f"<b>It was not stable.</b> With {who} the columns left physical bounds after "
        f"{fixed(survival.online_days)} of {days(survival.asked_days)} online. {describe_stop(judgement)}"
    )


def describe_stop(judgement: Judgement) -> str:
    """When, where and what, of a run that was stopped; nothing of another."""
    stop = judgement.survival.stopped
    if stop is None:
        return ""
    where = f"column {text(stop['column'])} ({place(stop['latitude'], stop['longitude'])})"
    level = "" if stop.get("level") is None else f", level {text(stop['level'])}"
    variable = text(str(stop["variable"]).replace("_", " "))
    found = "no number" if stop["value"] is None else value(stop["value"])
    return (
        f"The run stopped on day {fixed(float(stop['day']))} ({text(stop['date'])}), after the part "
        f"“{text(stop['after'])}” of the step: in {where}{level} the {variable} was {found}, where "
        f"{value(stop['minimum'])} to {value(stop['maximum'])} is allowed."
    )


def _interventions(judgement: Judgement) -> str:
    """How much of it the emulator really did."""
    done = judgement.interventions
    if done is None:
        return ""
    share = "" if done.emulator_share > 0.999 else f" Its share in the tendencies was {percent(done.emulator_share)}."
    rejected = (
        "No column was rejected"
        if done.rejected_fraction == 0.0
        else f"{percent(done.rejected_fraction)} of its columns and steps were rejected and left to the host's physics"
    )
    margin = f" by more than {percent(done.extrapolation_margin)} of its width" if done.extrapolation_margin else ""
    falls_back = ", which rejects a column here" if done.falls_back else ""
    outside = f"{percent(done.extrapolated_fraction)} had an input outside the range of the training{margin}"
    return f"{rejected}; {outside}{falls_back}.{share}"


def _closure(judgement: Judgement) -> str:
    closure = judgement.conservation
    if closure is None:
        return ""
    closed = {what: closes(judgement, what) for what in FLUX_LIMITS}
    head = {
        (True, True): "Energy and water close.",
        (True, False): "Energy closes, water does not.",
        (False, True): "Water closes, energy does not.",
        (False, False): "Neither energy nor water closes.",
    }[bool(closed["energy"]), bool(closed["water"])]
    return (
        f"<b>{head}</b> In every column and step the rates agree with the fluxes at top and surface within "
        f"{scientific(closure.closure_flux_energy_w_m2)} W m⁻² and "
        f"{scientific(closure.closure_flux_water_kg_m2_s)} kg m⁻² s⁻¹{_before(judgement)}. The host's own account "
        f"of what each column gained in a day agrees within {scientific(closure.closure_state_energy_w_m2)} W m⁻² and "
        f"{scientific(closure.closure_state_water_kg_m2_s)} kg m⁻² s⁻¹."
    )


def _before(judgement: Judgement) -> str:
    closure = judgement.conservation
    if judgement.corrections is not None and not judgement.corrections.enforced:
        return ": the constraints were measured and not enforced"
    if closure is None or closure.residual_before_energy_w_m2 is None or closure.residual_before_water_kg_m2_s is None:
        return ""
    done = judgement.interventions
    merged = bool(judgement.taken) or (done is not None and done.emulator_share < 1.0 - 1e-9)
    what = "the merged answer of emulator and host" if merged else "the emulator"
    return (
        f"; before the constraints {what} was wrong by up to {value(closure.residual_before_energy_w_m2)} W m⁻² "
        f"and {scientific(closure.residual_before_water_kg_m2_s)} kg m⁻² s⁻¹"
    )


def _climate(judgement: Judgement) -> str:
    """Bias and error of temperature and precipitation, beside those of other weather."""
    climate = judgement.climate
    if climate is None:
        return "The run ended too early for its climate to be compared."
    sentences = []
    for variable, name, unit, words in (
        ("air_temperature", "air", "K", ("warmer", "colder")),
        ("precipitation_flux", "precipitation", "mm day⁻¹", ("more", "less")),
    ):
        score, floor = climate.score(variable), weather_ratio(judgement, variable)
        bias = f"{value(abs(score.bias), 2)} {unit} {words[score.bias < 0.0]}"
        other = (
            "" if floor is None else f" (other weather alone: {value(abs(floor.bias), 2)} {words[floor.bias < 0.0]})"
        )
        error = f"{value(score.rmse, 2)} {unit}"
        weather = "" if floor is None else f" (other weather: {value(floor.rmse, 2)})"
        sentences.append(
            f"Mean {name} is {bias} than with conventional physics{other}; {means(judgement)} of single places differ "
            f"by {error}{weather}."
        )
    return " ".join(sentences)


def _offline(judgement: Judgement) -> str:
    r2 = judgement.offline_r2
    names = {
        "tendency_of_air_temperature_due_to_model_physics": "heating",
        "tendency_of_specific_humidity_due_to_model_physics": "moistening",
    }
    known = [f"{fixed(r2[name])} of {label}" for name, label in names.items() if name in r2]
    if not known:
        return ""
    return f"Offline, on recorded days that it had not seen, the same emulator reached R² = {' and '.join(known)}."


def _speed(judgement: Judgement) -> str:
    speed = judgement.speed
    if speed.run is None or speed.step_speedup is None or speed.physics_speedup is None:
        return ""
    return (
        f"<b>Speed:</b> a step of a column takes {value(speed.run.step_microseconds)} µs of one core, "
        f"{times(speed.step_speedup)} with conventional physics; the column physics by itself is "
        f"{times(speed.physics_speedup)} the conventional one."
    )


def _what_it_is_not(judgement: Judgement) -> str:
    return (
        "<b>What it is not:</b> a climate simulation. Columns are stepped without dynamics under prescribed "
        f"large-scale forcing, which holds them near a climate, for {span(judgement)}; in a model with dynamics an "
        "emulator's errors feed back."
    )


def span(judgement: Judgement) -> str:
    """How long it ran online, and in how much of a year."""
    lived = judgement.survival.online_days
    part = " of one season" if lived <= DAYS_OF_SEASON else " of less than a year" if lived < DAYS_OF_YEAR else ""
    return f"{days(float(fixed(lived)))}{part}"


def times(ratio: float) -> str:
    """A speed-up in words."""
    if abs(ratio - 1.0) < 0.005:
        return "as fast as"
    if ratio >= 1.0:
        return f"{value(ratio)} times as fast as"
    return f"{value(1.0 / ratio)} times slower than"


def value(number: float, digits: int = 3) -> str:
    """Significant digits without a power of ten where that reads well, and a true minus sign."""
    number = float(number)
    if number == 0.0:
        return "0"
    if not 1e-3 <= abs(number) < 1e5:
        return scientific(number)
    return f"{float(f'{number:.{digits}g}'):,g}".replace("-", "−").replace(",", " ")


def percent(share: float) -> str:
    """A share [1] in percent, small ones not rounded to zero nor large ones to all."""
    if 0.995 <= share < 1.0:
        return "more than 99 %"
    return "0 %" if share == 0.0 else f"{value(float(f'{100.0 * share:.2g}'))} %"


def means(judgement: Judgement) -> str:
    """What is compared: "daily means" where a record is of one day."""
    number = judgement.days_in_mean
    return "daily means" if number == 1.0 else f"means of {days(number)}"


def days(number: float) -> str:
    """As in "30 days"."""
    return f"{number:g} day{'' if number == 1.0 else 's'}"


def place(latitude: float, longitude: float) -> str:
    """Degrees north or south, east or west."""
    north = f"{abs(latitude):.1f}° {'N' if latitude >= 0.0 else 'S'}"
    east = (float(longitude) + 180.0) % 360.0 - 180.0
    return f"{north}, {abs(east):.1f}° {'E' if east >= 0.0 else 'W'}"
