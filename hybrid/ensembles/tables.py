"""What an ensemble says in lines: `members.csv`, and what its command prints."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .comparison import Group
from .scores import SCORES

SUMMARY_NAME = "ensemble.json"


def members_table(groups: Sequence[Group]) -> str:
    """`members.csv`: a line a member, in the order of the configuration; scores are empty where it did not survive."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["configuration", "seed", "survived", "day", "variable", "sentence", *SCORES])
    for group in groups:
        for seed, outcome, scores in zip(group.seeds, group.outcomes, group.scores.tolist(), strict=True):
            known = scores if outcome.survived else [""] * len(SCORES)
            end = (str(outcome.survived).lower(), outcome.day, outcome.variable, outcome.sentence)
            writer.writerow([group.name, seed, *end, *known])
    return text.getvalue()


def print_ensemble(folder: Path) -> None:
    """What `ensemble.json` says of deaths and of differences, and where it lies."""
    summary = json.loads((folder / SUMMARY_NAME).read_text())
    for configuration in summary["configurations"]:
        print(f"{configuration['name']}: {configuration['deaths']} of {configuration['members']} members died")
    for comparison in summary["comparisons"]:
        _print_comparison(comparison)
    print(f"ensemble: {folder}")


def _print_comparison(comparison: Mapping[str, Any]) -> None:
    from ..verbs import print_table  # which imports all that trains

    title = f"{comparison['configuration']} - {comparison['reference']}"
    if comparison["log_rank"] is not None:
        print(f"{title}: log-rank p = {comparison['log_rank']['p_value']:.2g}")
    for kind in ("independent", "paired"):
        rows = [
            {"score": name}
            | {"difference": values["difference"]}
            | dict(zip(("from", "to"), values["interval_studentised"], strict=True))
            | ({"p": values["p_value"]} if "p_value" in values else {})
            for name, values in (comparison[kind] or {}).items()
        ]
        if rows:
            print_table(rows, title=f"{title}, {'seed by seed' if kind == 'paired' else 'as separate ensembles'}")
