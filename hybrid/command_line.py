"""The command `emagram`: one verb for each thing a user does. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..physics.errors import EmagramError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; errors become one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (EmagramError, OSError) as error:
        print(f"emagram {options.verb}: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"emagram {options.verb}: interrupted", file=sys.stderr)
        return 1
    except ValueError as error:
        if type(error).__name__ != "BridgeError":  # the bridge imports nothing of ours, and so has its own error
            raise
        print(f"emagram {options.verb}: {error}", file=sys.stderr)
        return 1
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"'{error.filename}': {error.strerror}"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emagram", description="Machine-learned column physics in climate models, every column closed."
    )
    parser.add_argument("--version", action="version", version=f"emagram {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    run = verbs.add_parser("run", help="run the column host on a case, or continue it")
    run.add_argument("case", type=Path, metavar="CASE.toml")
    run.add_argument("--ranks", type=int, default=1, metavar="N", help="MPI processes; they change no bit")
    run.add_argument(
        "--output", type=Path, metavar="FOLDER", help="run folder, by default runs/NAME; continued if there"
    )
    run.set_defaults(run=_run)

    ensemble = verbs.add_parser("ensemble", help="run a case under many seeds and configurations, and compare them")
    ensemble.add_argument("configuration", type=Path, metavar="CONFIG.toml")
    ensemble.add_argument("--workers", type=int, metavar="N", help="members at once, by default one for each core")
    ensemble.add_argument(
        "--output", type=Path, metavar="FOLDER", help="by default runs/NAME; what is missing there is run"
    )
    ensemble.set_defaults(run=_ensemble)

    train = verbs.add_parser("train", help="train the emulators of a configuration, score them, export the best")
    train.add_argument("configuration", type=Path, metavar="CONFIG.toml")
    train.add_argument(
        "--output", type=Path, metavar="FOLDER", help="run folder, by default runs/NAME; continued if there"
    )
    train.set_defaults(run=_train)

    evaluate = verbs.add_parser("evaluate", help="score a model file on columns with a known truth")
    evaluate.add_argument("model", type=Path, metavar="MODEL.emg")
    evaluate.add_argument(
        "columns", type=Path, metavar="DATA", help="a file of columns, or a folder of mli and mlo files"
    )
    evaluate.add_argument("--json", type=Path, metavar="FILE")
    evaluate.add_argument("--grid", type=Path, metavar="FILE", help="of the records, in ClimSim's form")
    evaluate.add_argument("--start", metavar="YYYY-MM-DD", help="first day of the records")
    evaluate.add_argument("--stop", metavar="YYYY-MM-DD", help="last day of the records")
    evaluate.set_defaults(run=_evaluate)

    export = verbs.add_parser("export", help="write one trained member of a run as a model file")
    export.add_argument("folder", type=Path, metavar="RUN")
    export.add_argument("fold", type=int, help="its fold")
    export.add_argument("features", help="its feature set")
    export.add_argument("seed", type=int, help="its seed")
    export.add_argument("model", type=Path, metavar="MODEL.emg")
    export.set_defaults(run=_export)

    inspect = verbs.add_parser("inspect", help="say what a model file holds, after verifying it")
    inspect.add_argument("model", type=Path, metavar="MODEL.emg")
    inspect.add_argument("--json", action="store_true", help="print the manifest")
    inspect.set_defaults(run=_inspect)

    report = verbs.add_parser("report", help="judge a run beside a conventional run of the same case")
    report.add_argument("folder", type=Path, metavar="RUN")
    report.add_argument("--against", type=Path, metavar="RUN", required=True, help="the conventional run")
    report.add_argument(
        "--replica", type=Path, metavar="RUN", nargs="+", action="extend", default=[], help="floors: perturbed runs"
    )
    report.add_argument("--offline", type=Path, metavar="FOLDER", help="of the study that trained the emulator")
    report.set_defaults(run=_report)

    bench = verbs.add_parser("bench", help="measure speed beside peers and the machine's ceiling, results checked")
    bench.add_argument("name", metavar="NAME", help="constraints, host or loader")
    bench.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    size = bench.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", dest="size", const="quick", default="default")
    size.add_argument("--full", action="store_const", dest="size", const="full")
    bench.add_argument("--json", type=Path, metavar="FILE")
    bench.set_defaults(run=_bench)

    demo = verbs.add_parser("demo", help="the whole story: record, train, run online, judge, report")
    demo.add_argument("--quick", action="store_true", help="fewer columns and days, a smaller network")
    demo.add_argument("--output", type=Path, metavar="FOLDER", help="by default runs/demo; continued if there")
    demo.add_argument("--ranks", type=int, default=2, metavar="N")
    demo.set_defaults(run=_demo)
    return parser


# Each verb imports what it needs, so that `emagram --help` and small verbs start at once.


def _run(options: argparse.Namespace) -> None:
    from .run import run
    from .verbs import print_run

    print_run(run(options.case, ranks=options.ranks, output=options.output))


def _ensemble(options: argparse.Namespace) -> None:
    from .ensembles.ensemble import run_ensemble
    from .ensembles.tables import print_ensemble

    print_ensemble(run_ensemble(options.configuration, workers=options.workers, output=options.output))


def _train(options: argparse.Namespace) -> None:
    from .verbs import print_scores, train

    folder = train(options.configuration, options.output)
    if os.environ.get("RANK", "0") == "0":  # one of the processes of torchrun
        print_scores(folder)


def _evaluate(options: argparse.Namespace) -> None:
    from ..emulators.run_folder import write_json
    from .verbs import evaluate, print_table

    if options.columns.is_dir():
        _evaluate_records(options)
        return
    scores = evaluate(options.model, options.columns)
    print_table([{"score": name, "value": value} for name, value in scores.items()])
    if options.json is not None:
        write_json(options.json, scores)


def _evaluate_records(options: argparse.Namespace) -> None:
    from ..emulators.atomic import write_atomically
    from ..emulators.evaluation_figures import variable_label
    from .verbs import evaluate_records, print_table

    evaluation = evaluate_records(
        options.model, options.columns, grid=options.grid, start=options.start, stop=options.stop
    )
    shown = ("mae", "rmse", "bias", "r2", "r2_pooled")
    title = f"{evaluation.n_step} steps of {evaluation.n_cell} columns, W/m²"
    labels = [variable_label(str(row["variable"])) for row in evaluation.rows]
    rows = [
        {"": label} | {name: row[name] for name in shown} for label, row in zip(labels, evaluation.rows, strict=True)
    ]
    print_table(rows, title=title)
    if options.json is not None:
        write_atomically(options.json, evaluation.to_json().encode())


def _export(options: argparse.Namespace) -> None:
    from .verbs import export_member

    export_member(options.folder, options.fold, options.features, options.seed, options.model)
    print(options.model)


def _inspect(options: argparse.Namespace) -> None:
    from .verbs import inspect

    print(inspect(options.model, manifest=options.json))


def _report(options: argparse.Namespace) -> None:
    from .judging import headline, judge, write_pictures
    from .report import write_report
    from .verbs import print_values

    judgement = judge(options.folder, options.against, options.replica, offline=options.offline)
    path = judgement.write(options.folder)
    write_pictures(judgement, options.folder / "pictures")
    print_values(headline(judgement))
    print(*judgement.notes, sep="\n")
    print(f"judgement: {path}")
    print(f"report: {write_report(options.folder, judgement, options.folder)}")


def _bench(options: argparse.Namespace) -> None:
    from ..emulators.run_folder import write_json
    from .bench import print_report, run
    from .benchmark import BenchOptions

    report = run(options.name, BenchOptions(device=options.device, size=options.size))
    print_report(report)
    if options.json is not None:
        write_json(options.json, report)
    wrong = [f"{row['case']} {row['engine']}" for row in report["rows"] if row.get("correct") is False]
    if wrong:
        raise EmagramError(f"expected every engine's output to be correct, got {', '.join(wrong)} wrong")


def _demo(options: argparse.Namespace) -> None:
    from .demo import run_demo

    if options.ranks < 1:
        raise EmagramError(f"--ranks: expected at least 1, got {options.ranks}")
    data = os.environ.get("EMAGRAM_DATA")
    report = run_demo(options.output, quick=options.quick, ranks=options.ranks, data=Path(data) if data else None)
    print(f"report: {report}")
