"""Tables of what the constraints of a run had to do: by budget, and by regime."""

from __future__ import annotations

from ..physics.units import SECONDS_PER_DAY
from .judging.corrections import Regime
from .judging.judgement import Judgement
from .markup import judged, table, text, unit
from .report_verdict import percent, value


def budgets_table(judgement: Judgement) -> str:
    """Of every budget how far it is from holding before and after its constraint, and where it cannot hold."""
    done = judgement.corrections
    if done is None or not done.budgets:
        return ""
    rows = [
        [
            f"{text(budget.name.replace('_', ' '))}<br><small>{unit(budget.unit)}</small>",
            value(budget.mean_before),
            value(budget.largest_before),
            value(budget.largest_after),
            judged(f"{percent(budget.unmet_fraction)} <small>({budget.unmet})</small>", budget.unmet == 0),
        ]
        for budget in done.budgets
    ]
    head = ["budget", "mean before", "largest before", "largest after", "unmet<br><small>columns and steps</small>"]
    how = "its own constraint" if done.enforced else "its own constraint, which was measured and not enforced"
    return table(f"<b>Budgets of the model</b>: magnitudes of residuals just before and just after {how}", head, rows)


def regimes_table(judgement: Judgement) -> str:
    """How large the changes are, and their share of the tendencies, by regime."""
    done = judgement.corrections
    if done is None:
        return ""
    head = ["regime", "share<br><small>columns and steps</small>", "heating<br><small>W m⁻²</small>"]
    head += ["of all<br>heating", "moistening<br><small>mm day⁻¹</small>", "of all<br>moistening", "most often unmet"]
    rows = [
        [
            text(regime.name),
            percent(regime.share),
            value(regime.heating_w_m2),
            _share(regime.heating_fraction),
            value(SECONDS_PER_DAY * regime.moistening_kg_m2_s),
            _share(regime.moistening_fraction),
            _unmet(regime),
        ]
        for regime in done.regimes
    ]
    what = "vertical integrals of magnitudes in a step, and their share of the tendencies"
    return table(f"<b>Changes by the constraints</b>, {what}", head, rows)


def _share(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction)


def _unmet(regime: Regime) -> str:
    """The budget that is unmet most often, and how often."""
    name, share = max(regime.unmet_fraction.items(), key=lambda item: item[1], default=("", 0.0))
    return "none" if share == 0.0 else f"{text(name.replace('_', ' '))}, {percent(share)}"
