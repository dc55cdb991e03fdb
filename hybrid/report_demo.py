"""What only the report of a demo has: the way from columns to a coupled emulator, bits, radiation, how to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .demo_tables import programs_table, seconds_table
from .markup import ARROW, fixed, judged, scientific, text

STEP_TITLES = {
    "record": "recording",
    "train": "training, offline scores, export",
    "programs": "programs in three languages",
    "online": "online run with the emulator",
    "conventional": "conventional run",
    "last-digit": "conventional run, last digit changed",
    "other-weather": "conventional run, other weather",
    "radiation": "radiation of RFMIP's columns",
    "judge": "comparison",
    "total": "all",
}


def demo_flow(demo: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The way of a column, drawn as boxes that stack in a narrow window."""
    record, train = demo["recorded"], demo["trained"]
    boxes = (
        ("Record", f"{text(record['columns'])} columns, {text(record['days'])} days of conventional physics"),
        (
            "Learn",
            f"{text(train['columns'])} columns, {text(train['network'])}, {text(train['epochs'])} epochs",
        ),
        ("Model file", "<code>best.emg</code>: weights, units, constraints, SHA-256"),
        ("Couple", f"Fortran host on {text(demo['ranks'])} ranks, other weather and land than recorded"),
        ("Judge", "beside conventional physics of the same case, and its replicas"),
    )
    items = [f"<li><b>{title}</b>{note}</li>" for title, note in boxes]
    spin_up = f"{case['physics']['spin_up_days']:g}"
    return (
        '<ol class="flow">\n' + f"\n{ARROW}\n".join(items) + "\n</ol>\n"
        f"<p>The host steps columns under large-scale forcing: surface exchange, radiation, boundary layer, "
        f"convection, cloud and rain. After {text(spin_up)} days of spin-up the emulator answers in place of the last "
        "four, and the constraints close its answer. All else, the surface included, is the same in every run.</p>"
    )


def demo_notices(demo: Mapping[str, Any]) -> list[str]:
    """That it was the quick form; HTML."""
    if not demo["quick"]:
        return []
    return [
        "<b>Quick form.</b> Few columns, few days and a small network: this shows that the path works, not how well an "
        "emulator does."
    ]


def demo_section(demo: Mapping[str, Any]) -> str:
    """Programs and bits, and the radiation story."""
    equal = judged("equal", True) if demo["bits_equal"] else judged("different", False)
    return (
        "\n<h2>Programs and bits</h2>\n"
        f"<p>Outside the host too, the model file answers recorded columns in Fortran, Python and C; every bit of "
        f"every output is hashed. Ranks, chunks and languages must not change it: {equal}.</p>\n"
        f"{programs_table(demo['programs'], demo['checked_columns'])}\n{_radiation(demo)}"
    )


def _radiation(demo: Mapping[str, Any]) -> str:
    radiation = demo["radiation"]
    if radiation is None:
        return (
            "<h2>Radiation</h2>\n<p>Left out: with <code>EMAGRAM_DATA</code> naming the folder of real data, the demo "
            "also learns the clear-sky radiation of RFMIP's columns, and reports it on a page of its own.</p>"
        )
    bits = judged("the same bits", True) if radiation["bits_equal"] else judged("different bits", False)
    return (
        f"<h2>Radiation</h2>\n<p>An emulator of clear-sky radiation ({text(radiation['truth'])}) predicted "
        f"{text(radiation['columns'])} unseen columns in {text(radiation['programs'])} program runs: {bits}. Heating "
        f"and net flux of every column agree within {scientific(radiation['closure_energy_w_m2'])} W m⁻² "
        f"({fixed(radiation['before_energy_w_m2'], 1)} without the constraint). Its own page: "
        f"<code>{text(radiation['page'])}</code> beside this one.</p>"
    )


def repeat_demo(demo: Mapping[str, Any]) -> str:
    """Commands and files."""
    command = f"emagram demo{' --quick' if demo['quick'] else ''} --ranks {demo['ranks']}"
    data = "without <code>EMAGRAM_DATA</code>" if demo["radiation"] is None else "with <code>EMAGRAM_DATA</code>"
    files = ", ".join(f"<code>configs/{text(Path(name).name)}</code>" for name in demo["files"])
    return (
        f"<p>After <code>make demo</code> has set everything up, {data} in the environment:</p>\n"
        f"<pre><code>{text(command)}</code></pre>\n"
        f"<p>All numbers of it are in {files}. The folder of this page holds <code>summary.json</code> and "
        "<code>judgement.json</code> (the numbers of this page), <code>record/</code>, <code>train/</code> "
        "(checkpoints, scores, model file), and the run folders <code>online/</code>, <code>conventional/</code>, "
        "<code>last-digit/</code> and <code>other-weather/</code>. An interrupted demo continues. On one machine a "
        "repeated demo gives the same model file and the same final state.</p>\n"
        + seconds_table(demo["seconds"], STEP_TITLES)
    )
