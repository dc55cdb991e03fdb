"""The log of a training: one row for every epoch, as CSV and as JSON lines."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..atomic import write_atomically
from ..tables import to_csv

LOG_NAME = "log.csv"
JSON_LOG_NAME = "log.jsonl"
LOG_COLUMNS = (
    "epoch",
    "learning_rate",  # at the end of the epoch
    "train_loss",  # mean over the columns, while the weights changed
    "validation_loss",  # after the epoch, of the averaged weights where there are such
    "gradient_norm",  # mean over the steps, before clipping
    "columns_per_second",  # of training, all processes together
    "seconds",  # of training and validation
)
MEASURED = ("columns_per_second", "seconds")
"""Columns that differ when the same training is run again; all others have the same bits."""

Log = list[dict[str, float]]


def parts_of_loss(names: Sequence[str], losses: Sequence[float]) -> dict[str, float]:
    """Columns that follow the others where the loss has parts: `train_<name>`, mean over the columns; else none."""
    return {f"train_{name}": loss for name, loss in zip(names, losses, strict=True)} if len(names) > 1 else {}


def epochs_since_best(log: Log) -> int:
    """Epochs after that of the least validation loss, the first of equal ones; 0 before the first epoch."""
    losses = [row["validation_loss"] for row in log]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def write_log(folder: Path, log: Log) -> None:
    """Write both forms, each complete or not at all."""
    write_atomically(folder / LOG_NAME, to_csv(log))
    lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in log)
    write_atomically(folder / JSON_LOG_NAME, lines.encode())
