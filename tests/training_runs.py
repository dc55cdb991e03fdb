"""Small trainings for the tests, in this process or as a program: `training_runs.py SCENARIO FOLDER [ARGUMENT]`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emagram.emulators import atomic
from emagram.emulators.emulator import ColumnEmulator
from emagram.emulators.training.folder_lock import FolderLock
from emagram.emulators.training.log import MEASURED, Log
from emagram.emulators.training.objectives import RadiationObjectiveConfig
from emagram.emulators.training.optimisation import AdamWConfig
from emagram.emulators.training.parallel import ALONE, Parallel, from_environment
from emagram.emulators.training.samples import Samples, SampleSource, require_part, share
from emagram.emulators.training.schedules import CosineSchedule
from emagram.emulators.training.trainer import Trainer, TrainingConfig
from emagram.physics.errors import EmagramError
from radiation import radiation_samples, random_emulator

SHORT = TrainingConfig(epochs=12, batch_size=16, checkpoint_interval=2)
EVERYTHING = TrainingConfig(
    epochs=12,
    batch_size=16,
    optimiser=AdamWConfig(learning_rate=0.2, decayed="matrices"),
    schedule=CosineSchedule(warm_up=0.3),
    average_decay=0.9,
    patience=3,
    checkpoint_interval=2,
)
TOGETHER = TrainingConfig(epochs=3, batch_size=24, average_decay=0.9, checkpoint_interval=1)
N_TOGETHER = 97  # two parts of 24: two whole steps, then one with a single column, which leaves a part without any


class Stream:
    """A source that draws its columns as it goes, file after file, as one that reads files does."""

    def __init__(self, samples: Samples, n_file: int = 5) -> None:
        self.samples, self.n_file = samples, n_file
        self.n_column = samples.n_column

    def batches(self, size: int, *, seed: int, part: int = 0, n_part: int = 1) -> Iterator[Samples]:
        require_part(size, part=part, n_part=n_part)
        random = np.random.default_rng(seed)
        files = np.array_split(np.arange(self.n_column), self.n_file)
        waiting = np.zeros(0, dtype=np.int64)
        for number, file in enumerate(random.permutation(self.n_file)):
            waiting = random.permutation(np.concatenate([waiting, files[file]]))
            last = number == self.n_file - 1
            while waiting.size >= size * n_part or (last and waiting.size):
                now, waiting = waiting[: size * n_part], waiting[size * n_part :]
                yield self.samples.select(share(torch.from_numpy(now), part=part, n_part=n_part))


class Broken(Stream):
    """Fails, or does something else, before its third batch."""

    def __init__(self, samples: Samples, event: Callable[[], None]) -> None:
        super().__init__(samples)
        self.event = event

    def batches(self, size: int, *, seed: int, part: int = 0, n_part: int = 1) -> Iterator[Samples]:
        for number, batch in enumerate(super().batches(size, seed=seed, part=part, n_part=n_part)):
            if number == 2:
                self.event()
            yield batch


def make_trainer(
    folder: Path,
    *,
    config: TrainingConfig = SHORT,
    seed: int = 3,
    source: Callable[[Samples], SampleSource] = lambda samples: samples,
    double: bool = False,
    n_column: int | None = None,
    initial: int = 0,
    parallel: Parallel = ALONE,
) -> Trainer:
    """A trainer of a small dense emulator of radiation, with initial weights of the seed `initial`."""
    spec, samples = radiation_samples(60 if n_column else 24)
    if n_column:
        samples = samples.select(torch.arange(n_column))
    emulator = random_emulator(spec, samples, seed=initial)
    if double:
        emulator.network.double()
    objective = RadiationObjectiveConfig().build(emulator)
    validation = samples.select(torch.arange(0, samples.n_column, 3))
    return config.build(
        emulator, objective, train=source(samples), validation=validation, seed=seed, folder=folder, parallel=parallel
    )


def without_times(log: Log) -> Log:
    """The log's columns that are the same in every run."""
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in log]


def assert_same_state(left: dict[str, Any], right: dict[str, Any]) -> None:
    """The same tensors, bit for bit."""
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


def weights(emulator: ColumnEmulator) -> dict[str, torch.Tensor]:
    """A copy of an emulator's parameters."""
    return {name: value.detach().clone() for name, value in emulator.network.named_parameters()}


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_replacement(number: int) -> None:
    """Let this process die while it puts its n-th file in place, the complete file beside it."""
    seen, replace = [], Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        seen.append(target)
        if len(seen) == number:
            kill_self()
        return replace(self, target)

    atomic.Path.replace = replace_or_die  # type: ignore[method-assign]


def stream_and_kill(step: int) -> Callable[[Samples], SampleSource]:
    """A stream that kills its process when the n-th batch is asked for."""

    class Deadly(Stream):
        asked = 0

        def batches(self, *arguments: Any, **options: Any) -> Iterator[Samples]:
            for batch in super().batches(*arguments, **options):
                Deadly.asked += 1
                if Deadly.asked == step:
                    kill_self()
                yield batch

    return Deadly


def train_everything(folder: Path, source: Callable[[Samples], SampleSource] = Stream) -> None:
    make_trainer(folder, config=EVERYTHING, source=source).fit()


def forked(task: Callable[[], None]) -> int:
    """Run a task in a child process; its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            task()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kills(folder: Path) -> None:
    """Trainings that are killed at different points and then resumed, each in `folder/<point>`."""
    torch.set_num_threads(1)  # before the first operation, so that no thread is lost in a fork

    def replacement(number: int, place: Path) -> None:
        kill_at_replacement(number)
        train_everything(place)

    points = {f"batch-{n}": (lambda place, n=n: train_everything(place, stream_and_kill(n))) for n in (2, 9, 20)}
    # an epoch puts log.csv and log.jsonl in place, every second one then checkpoint.pt
    points |= {f"replacement-{n}": (lambda place, n=n: replacement(n, place)) for n in (4, 5, 10)}
    (folder / "whole").mkdir()
    make_trainer(folder, config=EVERYTHING)  # imports what torch imports late, once instead of in every child
    assert forked(lambda: train_everything(folder / "whole")) == 0
    for name, task in points.items():
        place = folder / name
        place.mkdir()
        assert forked(lambda task=task, place=place: task(place)) == -signal.SIGKILL, name  # type: ignore[misc]
        (place / "left").write_text("\n".join(path.name for path in place.iterdir()))
        assert forked(lambda place=place: train_everything(place)) == 0, name  # type: ignore[misc]


def together(folder: Path) -> None:
    """Two processes of torchrun's environment through trainings; every rank has folders of its own."""
    torch.set_num_threads(1)
    with from_environment(timeout=60.0) as parallel:

        def place(name: str) -> Path:
            path = folder / name / str(parallel.rank)
            path.mkdir(parents=True, exist_ok=True)
            return path

        def make(name: str, **options: Any) -> Trainer:
            options |= {"config": TOGETHER, "n_column": N_TOGETHER, "double": True, "parallel": parallel}
            return make_trainer(place(name), initial=parallel.rank, **options)  # the first rank's weights count

        def fail() -> None:
            if parallel.rank == 1:
                raise EmagramError("file 'broken.nc': expected columns, got none")

        def stop(epoch: int) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

        for name, source in (("memory", lambda samples: samples), ("stream", Stream)):
            trainer = make(name, source=source)
            trainer.fit()
            torch.save(
                {"weights": weights(trainer.emulator), "log": trainer.log}, folder / f"{name}-{parallel.rank}.pt"
            )
        try:
            make("resumed").fit(stop)
        except KeyboardInterrupt:
            trainer = make("resumed")
            trainer.fit()
            torch.save({"weights": weights(trainer.emulator)}, folder / f"resumed-{parallel.rank}.pt")
        try:
            with FolderLock(place("locked")) if parallel.is_first else nullcontext():
                make("locked").fit()
        except EmagramError as error:
            (folder / f"locked-{parallel.rank}.txt").write_text(str(error))
        try:
            make("broken", source=lambda samples: Broken(samples, fail)).fit()
        except EmagramError as error:
            (folder / f"broken-{parallel.rank}.txt").write_text(str(error))


def lonely(folder: Path, event: str) -> None:
    """Two processes, of which rank 1 dies or stays away in the first epoch."""
    torch.set_num_threads(1)

    def happen() -> None:
        if os.environ["RANK"] == "1":
            if event == "die":
                kill_self()
            time.sleep(1000.0)

    with from_environment(timeout=2.0) as parallel:
        source = lambda samples: Broken(samples, happen)  # noqa: E731
        try:
            make_trainer(folder, config=TOGETHER, n_column=N_TOGETHER, source=source, parallel=parallel).fit()
        except EmagramError as error:
            print(error)
            sys.exit(3)


def slow(folder: Path, seconds: str) -> None:
    """A training that waits after every epoch."""
    trainer = make_trainer(folder, config=EVERYTHING, source=Stream)
    trainer.fit(lambda _: time.sleep(float(seconds)))


if __name__ == "__main__":
    scenario = {"kills": kills, "together": together, "lonely": lonely, "slow": slow}[sys.argv[1]]
    scenario(Path(sys.argv[2]), *sys.argv[3:])
