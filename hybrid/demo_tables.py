"""Tables that both stories of the demo have: programs with their bits, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .markup import fixed, judged, table, text


def programs_table(programs: Sequence[Mapping[str, Any]], columns: int) -> str:
    """Each run of a program with its wall time and the hash of its outputs."""
    rows = [
        [
            text(program["label"]),
            fixed(program["seconds"]),
            f"<code>{text(program['sha256'][:16])}</code>",
            judged("same bits", True) if program["sha256"] == programs[0]["sha256"] else judged("other bits", False),
        ]
        for program in programs
    ]
    head = ["program", "wall time<br><small>[s]</small>", "SHA-256 of outputs<br><small>first 16 digits</small>"]
    caption = f"<b>Runs of the programs</b> on {text(columns)} columns; time includes starting"
    return table(caption, [*head, "against the first"], rows)


def seconds_table(seconds: Mapping[str, float], titles: Mapping[str, str]) -> str:
    """Wall time of the steps that have a title."""
    rows = [[title, fixed(seconds[key], 1)] for key, title in titles.items() if key in seconds]
    return table("<b>Wall time</b> of the steps", ["step", "time<br><small>[s]</small>"], rows)
