"""The training loop: epochs, validation, early stopping, and exact resumption after a kill."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ...physics.errors import EmagramError
from ..emulator import ColumnEmulator
from ..networks.climsim_mlp import require_unshifted
from .averaging import WeightAverage
from .checkpoint import CHECKPOINT_NAME, parse_checkpoint, remove_partial_files, require_identity, save_checkpoint
from .folder_lock import FolderLock
from .identity import describe_emulator
from .log import JSON_LOG_NAME, LOG_COLUMNS, LOG_NAME, Log, epochs_since_best, parts_of_loss, write_log
from .objectives import Objective
from .optimisation import AdamWConfig, Optimisation, Precision
from .parallel import ALONE, Parallel
from .passes import NotFiniteError, Pass, mean_loss, train_pass
from .samples import SampleSource
from .schedules import CosineSchedule, Schedule

Progress = Callable[[int], None]
"""Called after each epoch with the number of epochs done."""


@dataclass(frozen=True)
class TrainingConfig:
    """How an emulator is fitted.

    Attributes:
        epochs: passes over the training columns, at most.
        batch_size: columns a step of each process.
        optimiser, schedule: how the weights follow the gradient.
        gradient_clip: largest norm of the gradient.
        average_decay: of the moving average of the weights, which is then what is validated and kept; off without.
        precision: of the network while it is trained: "float32", or "bfloat16" where speed asks for it; constraints
            and losses are float64, and validation is float32, as the exported model.
        patience: epochs without a better validation loss after which training stops; off without.
        checkpoint_interval: epochs between checkpoints.
        validation_batch_size: columns validated at once by each process.
    Raises:
        EmagramError: if a value lies outside its range.
    """

    epochs: int = 50
    batch_size: int = 48
    optimiser: AdamWConfig = field(default_factory=AdamWConfig)
    schedule: Schedule = field(default_factory=CosineSchedule)
    gradient_clip: float = 1.0
    average_decay: float | None = None
    precision: Precision = "float32"
    patience: int | None = None
    checkpoint_interval: int = 10
    validation_batch_size: int = 4096

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "gradient_clip", "checkpoint_interval", "validation_batch_size"):
            if not 0 < getattr(self, name) < math.inf:
                raise EmagramError(f"training '{name}': expected a positive finite number, got {getattr(self, name)}")
        if self.average_decay is not None and not 0.0 < self.average_decay < 1.0:
            raise EmagramError(f"training 'average_decay': expected a number in (0, 1), got {self.average_decay}")
        if self.patience is not None and self.patience < 1:
            raise EmagramError(f"training 'patience': expected at least one epoch, got {self.patience}")
        if self.precision not in ("float32", "bfloat16"):
            reason = {"float16": ", which would need scaled losses"}.get(self.precision, "")
            expected = "'float32' or 'bfloat16'"
            raise EmagramError(f"training 'precision': expected {expected}, got '{self.precision}'{reason}")

    def build(
        self,
        emulator: ColumnEmulator,
        objective: Objective,
        *,
        train: SampleSource,
        validation: SampleSource,
        seed: int,
        folder: Path,
        parallel: Parallel = ALONE,
    ) -> "Trainer":
        """A trainer of this emulator on these columns; arguments as `Trainer`."""
        sources = {"train": train, "validation": validation}
        return Trainer(self, emulator, objective, **sources, seed=seed, folder=folder, parallel=parallel)


class Trainer:
    """Fits an emulator in place and leaves it in its state of least validation loss.

    A checkpoint in `folder` is continued: the final weights have the same bits as those of an uninterrupted run on
    the same machine with the same number of threads, since every epoch draws from a seed of its own. Several
    processes share every step; their weights have the same bits, and rank 0 reads and writes the files.

    Args:
        config: how to fit.
        emulator: normalised already, alike on every process.
        objective: losses of outputs, targets and inputs.
        train, validation: columns.
        seed: of the minibatches.
        folder: for `checkpoint.pt`, `log.csv` and `log.jsonl`; must exist.
        parallel: this process among those that train together.
    Raises:
        EmagramError: if there are no columns, or the network's outputs do not suit the normalisation or precision.
    """

    def __init__(
        self,
        config: TrainingConfig,
        emulator: ColumnEmulator,
        objective: Objective,
        *,
        train: SampleSource,
        validation: SampleSource,
        seed: int,
        folder: Path,
        parallel: Parallel = ALONE,
    ) -> None:
        n_column = (train.n_column, validation.n_column)
        if min(n_column) < 1:
            raise EmagramError(f"training: expected columns to train and to validate on, got {n_column}")
        require_unshifted(emulator.network, emulator.output_mean)
        self.config, self.emulator, self.objective = config, emulator, objective
        self.description = describe_emulator(emulator)  # before a checkpoint puts its own normalisation in place
        self.train_samples, self.validation_samples = train, validation
        self.seed, self.folder, self.parallel = seed, Path(folder), parallel
        self.optimisation = Optimisation(
            emulator,
            objective,
            config.optimiser,
            gradient_clip=config.gradient_clip,
            precision=config.precision,
            parallel=parallel,
        )
        decay = config.average_decay
        self.average = WeightAverage(emulator.network, decay) if decay else None
        self.log: Log = []
        self.best_state: dict[str, Any] = {}

    @property
    def best_loss(self) -> float:
        """The least validation loss so far, ∞ before the first epoch."""
        return min((row["validation_loss"] for row in self.log), default=math.inf)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the validation loss has not improved for as long as was asked for."""
        patience = math.inf if self.config.patience is None else self.config.patience
        return len(self.log) >= self.config.epochs or epochs_since_best(self.log) >= patience

    def fit(self, progress: Progress | None = None) -> Log:
        """Train what is left of the epochs, then put the emulator into its best state.

        Returns:
            one row for every epoch, of `log.LOG_COLUMNS` and, where there are several losses, each of them.
        Raises:
            EmagramError: if the checkpoint is damaged or of another configuration, emulator or normalisation, another
                training runs in the folder, the loss is not finite, or another process of this training has failed.
            OSError: if the folder cannot be written.
        """
        self.resume()
        if not self.finished:
            with self._claimed_folder():
                self.resume()
                self._agree_on_weights()
                while not self.finished:
                    self._run_epoch(len(self.log))
                    self._write()
                    if progress is not None:
                        progress(len(self.log))
        self.emulator.load_state_dict(self.best_state)
        self.emulator.eval()
        return self.log

    def resume(self) -> None:
        """Continue from the checkpoint in the folder, if there is one; `fit` does this by itself.

        Raises:
            EmagramError: if the checkpoint is damaged or of another configuration, emulator or normalisation.
            OSError: if it cannot be read.
        """
        path = self.folder / CHECKPOINT_NAME
        data = None
        with self.parallel.together():
            if self.parallel.is_first and path.exists():
                data = path.read_bytes()
        data = self.parallel.broadcast_bytes(data)
        if data is None:
            return
        state = parse_checkpoint(data, path)
        with self.parallel.together():
            require_identity(state["identity"], self._identity(), path)
        self.emulator.load_state_dict(state["emulator"])
        self.optimisation.optimiser.load_state_dict(state["optimiser"])
        self.optimisation.combination.load_state_dict(state.get("combination", {}))  # older checkpoints have one loss
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.log, self.best_state = state["log"], state["best_state"]

    def _agree_on_weights(self) -> None:
        """Start every process from the weights of rank 0."""
        averages = [] if self.average is None else self.average.values.values()
        self.parallel.broadcast([*self.emulator.state_dict().values(), *averages])

    @contextmanager
    def _claimed_folder(self) -> Iterator[None]:
        """A block in which no other training runs in the folder; a process that died in it is cleaned up after."""
        with ExitStack() as stack:
            with self.parallel.together():
                if self.parallel.is_first:
                    stack.enter_context(FolderLock(self.folder))
                    remove_partial_files(self.folder, (CHECKPOINT_NAME, LOG_NAME, JSON_LOG_NAME))
            yield

    def _run_epoch(self, epoch: int) -> None:
        start = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            seed = self.seed * 1_000_003 + epoch
            torch.manual_seed(seed + 7919 * self.parallel.rank)  # dropout of each process is its own
            trained = self._train(epoch, seed)
        speed = trained.n_column / (time.perf_counter() - start)
        combination = self.optimisation.combination
        train_loss = float((trained.losses * combination.merit_weights).sum())
        with nullcontext() if self.average is None else self.average.applied():
            validation_loss = self._validation_loss()
            state = {name: value.clone() for name, value in self.emulator.state_dict().items()}
        if not math.isfinite(train_loss + validation_loss):
            losses = f"{train_loss}, and {validation_loss} in validation"
            raise EmagramError(f"training: expected a finite loss in epoch {epoch + 1}, got {losses}")
        if validation_loss < self.best_loss:
            self.best_state = state
        rate, seconds = self._learning_rate((epoch + 1) / self.config.epochs), time.perf_counter() - start
        row = (epoch + 1, rate, train_loss, validation_loss, trained.gradient_norm, speed, seconds)
        parts = parts_of_loss(self.objective.names, trained.losses.tolist())
        self.log.append({**dict(zip(LOG_COLUMNS, row, strict=True)), **parts, **combination.measures()})

    def _learning_rate(self, share: float) -> float:
        return self.config.optimiser.learning_rate * self.config.schedule.factor(min(share, 1.0))

    def _train(self, epoch: int, seed: int) -> Pass:
        """One pass over the training columns."""
        self.emulator.train()
        try:
            return train_pass(
                self.optimisation,
                self.train_samples,
                self.config.batch_size,
                seed=seed,
                learning_rate=lambda share: self._learning_rate((epoch + share) / self.config.epochs),
                after_step=(lambda: None) if self.average is None else self.average.update,
            )
        except NotFiniteError as error:
            raise EmagramError(f"training: expected a finite loss in epoch {epoch + 1}, got {error}") from error

    def _validation_loss(self) -> float:
        self.emulator.eval()
        size = self.config.validation_batch_size
        return mean_loss(self.emulator, self.objective, self.validation_samples, size=size, parallel=self.parallel)

    def _identity(self) -> dict[str, Any]:
        """What must agree for a checkpoint to be continued."""
        return {
            "training": asdict(self.config),
            "objective": self.objective.identity,
            "seed": self.seed,
            "columns": [self.train_samples.n_column, self.validation_samples.n_column],
            "processes": self.parallel.world,
            "network": str(self.emulator.network),
            "shapes": {name: list(value.shape) for name, value in self.emulator.state_dict().items()},
            **self.description,
        }

    def _write(self) -> None:
        """Write the log, and when it is due the checkpoint, from rank 0."""
        due = self.finished or len(self.log) % self.config.checkpoint_interval == 0
        with self.parallel.together():
            if not self.parallel.is_first:
                return
            write_log(self.folder, self.log)
            if due:
                save_checkpoint(self.folder / CHECKPOINT_NAME, self._state())

    def _state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on."""
        return {
            "identity": self._identity(),
            "log": self.log,
            "emulator": self.emulator.state_dict(),
            "optimiser": self.optimisation.optimiser.state_dict(),
            "combination": self.optimisation.combination.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "best_state": self.best_state,
        }
