"""The training loop: minibatches, schedule, log, checkpoints, and exact resumption after a kill."""

import io
import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...physics.errors import EmagramError
from ..atomic import write_atomically
from ..emulator import ColumnEmulator
from ..tables import to_csv
from .objectives import RadiationObjective
from .samples import Samples

CHECKPOINT_NAME = "checkpoint.pt"
LOG_NAME = "log.csv"
LOG_COLUMNS = ("epoch", "learning_rate", "train_loss", "validation_loss")

Log = list[dict[str, float]]
Progress = Callable[[int], None]
"""Called after each epoch with the number of epochs done."""


@dataclass(frozen=True)
class TrainingConfig:
    """How an emulator is fitted: AdamW, a linear warm-up, then half a cosine down to zero.

    Attributes:
        epochs: passes over the training columns.
        batch_size: columns a step.
        learning_rate: at the end of the warm-up.
        warm_up: share of all steps, in [0, 1).
        weight_decay: decoupled (Loshchilov and Hutter 2019).
        gradient_clip: largest norm of the gradient.
        checkpoint_interval: epochs between checkpoints.
    Raises:
        EmagramError: if a value lies outside its range.
    """

    epochs: int = 50
    batch_size: int = 48
    learning_rate: float = 2e-3
    warm_up: float = 0.1
    weight_decay: float = 1.0
    gradient_clip: float = 1.0
    checkpoint_interval: int = 10

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "gradient_clip", "checkpoint_interval"):
            if not getattr(self, name) > 0:
                raise EmagramError(f"training '{name}': expected a positive number, got {getattr(self, name)}")
        if not 0.0 <= self.warm_up < 1.0:
            raise EmagramError(f"training 'warm_up': expected a share from 0 to below 1, got {self.warm_up}")
        if not self.weight_decay >= 0.0:
            raise EmagramError(f"training 'weight_decay': expected no negative number, got {self.weight_decay}")

    def build(
        self,
        emulator: ColumnEmulator,
        objective: RadiationObjective,
        *,
        train: Samples,
        validation: Samples,
        seed: int,
        folder: Path,
    ) -> "Trainer":
        """A trainer of this emulator on these columns."""
        return Trainer(self, emulator, objective, train=train, validation=validation, seed=seed, folder=folder)

    def learning_rate_at(self, share: float) -> float:
        """Learning rate when `share` of all steps is done, 0 ≤ share ≤ 1."""
        if share < self.warm_up:
            return self.learning_rate * share / self.warm_up
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (share - self.warm_up) / (1.0 - self.warm_up)))


class Trainer:
    """Fits an emulator in place and leaves it in its state of least validation loss.

    A checkpoint in `folder` is continued: the final weights have the same bits as those of an uninterrupted run on
    the same machine with the same number of threads, since every epoch draws from a seed of its own.

    Args:
        config: how to fit.
        emulator: normalised already.
        objective: loss of outputs, targets and inputs.
        train, validation: columns.
        seed: of the minibatches.
        folder: for `checkpoint.pt` and `log.csv`; must exist.
    """

    def __init__(
        self,
        config: TrainingConfig,
        emulator: ColumnEmulator,
        objective: RadiationObjective,
        *,
        train: Samples,
        validation: Samples,
        seed: int,
        folder: Path,
    ) -> None:
        self.config, self.emulator, self.objective = config, emulator, objective
        self.train_samples, self.validation_samples = train, validation
        self.seed, self.folder = seed, Path(folder)
        self.optimizer = torch.optim.AdamW(
            emulator.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.log: Log = []
        self.best_loss = math.inf
        self.best_state: dict[str, Any] = {}

    def fit(self, progress: Progress | None = None) -> Log:
        """Train what is left of the epochs, then put the emulator into its best state.

        Returns:
            one row for every epoch: epoch, learning rate at its end, and the two losses.
        Raises:
            EmagramError: if the checkpoint is damaged or of another configuration, or the loss is not finite.
            OSError: if the folder cannot be written.
        """
        self.resume()
        for epoch in range(len(self.log), self.config.epochs):
            self._run_epoch(epoch)
            if (epoch + 1) % self.config.checkpoint_interval == 0 or epoch + 1 == self.config.epochs:
                self._save()
            if progress is not None:
                progress(epoch + 1)
        self.emulator.load_state_dict(self.best_state)
        self.emulator.eval()
        return self.log

    def _run_epoch(self, epoch: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1_000_003 + epoch)
            train_loss = self._train(epoch)
        validation_loss = self._validate()
        if not math.isfinite(train_loss + validation_loss):
            raise EmagramError(f"training: expected a finite loss in epoch {epoch + 1}, got {train_loss}")
        rate = self.config.learning_rate_at((epoch + 1) / self.config.epochs)
        row = (epoch + 1, rate, train_loss, validation_loss)
        self.log.append(dict(zip(LOG_COLUMNS, row, strict=True)))
        if validation_loss < self.best_loss:
            self.best_loss = validation_loss
            self.best_state = {name: value.clone() for name, value in self.emulator.state_dict().items()}

    def _train(self, epoch: int) -> float:
        """One pass over the training columns; the mean loss over its columns."""
        self.emulator.train()
        batches = list(self.train_samples.batches(self.config.batch_size, seed=self.seed * 1_000_003 + epoch))
        total = 0.0
        for number, batch in enumerate(batches):
            share = (epoch + (number + 1) / len(batches)) / self.config.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.learning_rate_at(share)
            loss = self.objective(self.emulator(batch.inputs), batch.targets, batch.inputs)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.emulator.network.parameters(), self.config.gradient_clip)
            self.optimizer.step()
            total += float(loss.detach()) * batch.n_column
        return total / self.train_samples.n_column

    @torch.no_grad()
    def _validate(self) -> float:
        self.emulator.eval()
        samples = self.validation_samples
        return float(self.objective(self.emulator(samples.inputs), samples.targets, samples.inputs))

    def _identity(self) -> dict[str, Any]:
        """What must agree for a checkpoint to be continued."""
        shapes = {name: list(value.shape) for name, value in self.emulator.state_dict().items()}
        return {
            "training": asdict(self.config),
            "objective": asdict(self.objective.config),
            "seed": self.seed,
            "columns": [self.train_samples.n_column, self.validation_samples.n_column],
            "network": str(self.emulator.network),
            "shapes": shapes,
        }

    def _save(self) -> None:
        """Write the log, then the checkpoint, each complete or not at all."""
        write_atomically(self.folder / LOG_NAME, to_csv(self.log))
        stream = io.BytesIO()
        state = {
            "identity": self._identity(),
            "log": self.log,
            "emulator": self.emulator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_loss": self.best_loss,
            "best_state": self.best_state,
        }
        torch.save(state, stream)
        write_atomically(self.folder / CHECKPOINT_NAME, stream.getvalue())

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.log) == self.config.epochs

    def resume(self) -> None:
        """Continue from the checkpoint in the folder, if there is one; `fit` does this by itself.

        Raises:
            EmagramError: if the checkpoint is damaged or of another configuration.
        """
        path = self.folder / CHECKPOINT_NAME
        if not path.exists():
            return
        state = load_checkpoint(path)
        expected, found = self._identity(), state["identity"]
        if found != expected:
            key = next(key for key in expected if found.get(key) != expected[key])
            raise EmagramError(f"checkpoint '{path}': expected {key} {expected[key]}, got {found.get(key)}")
        self.emulator.load_state_dict(state["emulator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.log, self.best_loss, self.best_state = state["log"], state["best_loss"], state["best_state"]


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint, without executing code from it.

    Raises:
        EmagramError: if it cannot be read.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise EmagramError(f"checkpoint '{path}': expected a complete checkpoint: {error}") from error
    return state
