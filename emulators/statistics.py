"""Statistics that normalise an emulator, with what they are of; gathered in one pass over batches.

A network sees (f − μ) / σ of each feature and returns (y − μ) / σ of each output. `normalisation.py` fits the same
buffers where all training columns are in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES
from .climsim import pack_inputs
from .emulator import ColumnEmulator, EmulatorSpec
from .training.samples import Samples

CONSTANT_SHARE = 1e-10
"""A value that varied by less than this share of its magnitude did not vary: its scale is 1."""
SCALE_FLOOR = 1e-4
"""Of the root mean square over the levels of a variable's standard deviation: no level is amplified beyond, so that
the hardly ever cloudy levels of training do not explode in another climate."""

CONSTANT_SCALE = 1e-30
"""Of an output that never varied at any level, in its unit."""

STRANGE_SHARE = 0.25
"""Share of a variable's values in a batch that must lie far outside the training range for the batch to be refused."""
RANGE_FLOOR = 1e-3
"""Of a variable's valid range: the least that counts as the width of its training range."""

_BUFFERS = ("feature_mean", "feature_scale", "output_mean", "output_scale", "input_minimum", "input_maximum")


@dataclass(frozen=True, eq=False)
class Normalisation:
    """The numbers of a normalisation, and what they are of.

    Attributes:
        spec: of the emulator they are for.
        feature_mean, feature_scale: (Σ feature sizes,) float64; an infinite scale makes a feature zero.
        output_mean, output_scale: (Σ output sizes,) float64.
        input_minimum, input_maximum: (Σ input sizes,) float64, ∓ infinity where unknown.
        n_column: number of training columns, 0 where the source does not say.
        source: of the data, for messages.
    Raises:
        EmagramError: if the sizes are not those of the spec, a scale is not positive or a mean is not finite.
    """

    spec: EmulatorSpec
    feature_mean: Tensor
    feature_scale: Tensor
    output_mean: Tensor
    output_scale: Tensor
    input_minimum: Tensor
    input_maximum: Tensor
    n_column: int
    source: str

    def __post_init__(self) -> None:
        n_feature = sum(self.spec.feature_size(feature) for feature in self.spec.features)
        n_output = sum(self.spec.size(name) for name in self.spec.outputs)
        n_input = sum(self.spec.size(name) for name in self.spec.inputs)
        for name, size in zip(_BUFFERS, (n_feature, n_feature, n_output, n_output, n_input, n_input), strict=True):
            value: Tensor = getattr(self, name)
            if value.shape != (size,) or value.dtype != torch.float64:
                found = (tuple(value.shape), value.dtype)
                raise EmagramError(f"normalisation '{name}': expected {size} values of float64, got {found}")
            if name.endswith("_scale") and not bool((value > 0.0).all()):
                raise EmagramError(f"normalisation '{name}': expected positive values, got {float(value.min())}")
            if name.endswith("_mean") and not bool(value.isfinite().all()):
                raise EmagramError(f"normalisation '{name}': expected finite values, got others")
        if not bool((self.input_minimum <= self.input_maximum).all()):
            raise EmagramError("normalisation 'input_minimum': expected at most the maximum, got more")

    @classmethod
    def of(cls, emulator: ColumnEmulator, source: str) -> Normalisation:
        """The statistics that an emulator carries."""
        buffers: list[Tensor] = [getattr(emulator, name) for name in _BUFFERS]
        return cls(emulator.spec, *buffers, int(emulator.n_training_column), source)  # type: ignore[arg-type, call-arg]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the names, the sizes and every number, the same for the same statistics of the same data."""
        spec = self.spec
        features = [feature.to_manifest(spec.feature_size(feature)) for feature in spec.features]
        digest = hashlib.sha256(repr((spec.n_level, spec.inputs, spec.outputs, features, self.n_column)).encode())
        for name in _BUFFERS:
            digest.update(getattr(self, name).numpy().tobytes())
        return digest.hexdigest()

    def apply(self, emulator: ColumnEmulator) -> None:
        """Set the buffers of an emulator.

        Raises:
            EmagramError: if the statistics are of other levels, inputs, features or outputs than the emulator's.
        """
        for what in ("n_level", "inputs", "features", "outputs", "scale_by"):
            ours, theirs = getattr(self.spec, what), getattr(emulator.spec, what)
            if ours != theirs:
                difference = _first_difference(ours, theirs) if isinstance(ours, tuple) else (theirs, ours)
                raise EmagramError(
                    f"statistics of {self.source}: expected those of the emulator's {what}, {difference[0]!r}, "
                    f"got {difference[1]!r}"
                )
        for name in _BUFFERS:
            getattr(emulator, name).copy_(getattr(self, name))
        emulator.n_training_column.fill_(self.n_column)

    def check_range(self, samples: Samples) -> None:
        """Refuse a batch that cannot be of the data these statistics are of: other units, levels upside down, fills.

        A value is strange if it lies outside its training range by more than the width of that range, averaged over
        the levels of its variable. Columns of the same climate hardly ever are, nor are those of a warmer one; a batch
        is refused if a quarter of the values of one input are.

        Raises:
            EmagramError: naming the first such input, or an input that is missing or has other levels.
        """
        _check_shapes(self.spec, samples, self.source)
        for name, at in self.spec.input_slices():
            lowest, highest = self.input_minimum[at], self.input_maximum[at]
            smallest, largest = VARIABLES[name].valid_range
            widths = (highest - lowest)[(highest - lowest).isfinite()]
            if widths.numel() == 0:
                continue
            margin = max(float(widths.mean()), RANGE_FLOOR * (largest - smallest))
            values = samples.inputs[name].reshape(samples.n_column, -1)
            strange = ~((values >= lowest - margin) & (values <= highest + margin))
            share = float(strange.double().mean())
            if share >= STRANGE_SHARE:
                raise EmagramError(
                    f"input '{name}': expected values like those of {self.source}, {float(lowest.min()):g} to "
                    f"{float(highest.max()):g}, got {100.0 * share:.0f} % far outside, such as "
                    f"{float(values[strange][0]):g}; the statistics may be of another data set"
                )


def stream_normalisation(
    batches: Iterable[Samples],
    spec: EmulatorSpec,
    *,
    source: str = "the training columns",
    feature_floor: float = SCALE_FLOOR,
) -> Normalisation:
    """Mean and standard deviation of every feature and output, range of every input, in one pass.

    Groups are merged as n = a + b, μ = μ_a + δ b / n, M = M_a + M_b + δ² a b / n, δ = μ_b − μ_a, M the sum of squared
    deviations; nothing cancels, however long the stream. σ is per value, at least a share of its root mean square over
    the levels; where nothing varied it is 1 for a feature and that share for an output, which so stays at its mean
    wherever the network's noise would count. An output that an input scales is normalised as the ratio, where that
    input is not zero.

    Args:
        batches: training columns, float64.
        spec: of the emulator.
        source: what they are, for messages.
        feature_floor: that share for features, 0 to 1; towards 1 the levels that hardly varied in training count less,
            which serves climates they vary in. For outputs it is `SCALE_FLOOR`.
    Raises:
        EmagramError: if the share is not one, there is no column, a field is missing or has other levels, or a value is
            not finite.
    Source: Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115
    """
    if not 0.0 <= feature_floor <= 1.0:
        raise EmagramError(f"statistics of {source}: expected a 'feature_floor' from 0 to 1, got {feature_floor}")
    features, ranges = _Moments(), _Range()
    outputs = {name: _Moments() for name in spec.outputs}
    for samples in batches:
        _check_shapes(spec, samples, source)
        _check_finite(samples, source)
        features.add(pack_inputs(spec, samples.inputs))
        ranges.add(torch.cat([_rows(samples.inputs[name]) for name in spec.inputs], dim=1))
        for name, moments in outputs.items():
            moments.add(_ratio(_rows(samples.targets[name]), samples, spec.scale_by.get(name)))
    if features.n == 0:
        raise EmagramError(f"statistics of {source}: expected columns, got none")
    feature_sizes = [spec.feature_size(feature) for feature in spec.features]
    scaled = [outputs[name].scaled_output() for name in spec.outputs]
    return Normalisation(
        spec,
        *features.scaled(feature_sizes, feature_floor),
        torch.cat([mean for mean, _ in scaled]),
        torch.cat([scale for _, scale in scaled]),
        ranges.minimum,
        ranges.maximum,
        features.n,
        source,
    )


class _Moments:
    """Running mean and sum of squared deviations of rows."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = self.squares = self.largest = torch.zeros(0, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        if rows.shape[0] == 0:
            if self.n == 0:
                self.mean = self.squares = self.largest = torch.zeros(rows.shape[1], dtype=torch.float64)
            return
        mean = rows.mean(dim=0)
        squares, largest = (rows - mean).square().sum(dim=0), rows.abs().amax(dim=0)
        if self.n:
            total = self.n + rows.shape[0]
            delta = mean - self.mean
            mean = self.mean + delta * (rows.shape[0] / total)
            squares = self.squares + squares + delta.square() * (self.n * rows.shape[0] / total)
            largest = torch.maximum(self.largest, largest)
        self.n, self.mean, self.squares, self.largest = self.n + rows.shape[0], mean, squares, largest

    def scaled(self, sizes: list[int], floor: float) -> tuple[Tensor, Tensor]:
        """Means and scales; the sizes say which values are the levels of one variable."""
        deviation = (self.squares / max(self.n, 1)).sqrt()
        varied = deviation > CONSTANT_SHARE * self.largest
        floors = [floor * part.square().mean().sqrt().expand(part.numel()) for part in torch.split(deviation, sizes)]
        floored = torch.maximum(deviation, torch.cat(floors))
        return self.mean, torch.where(varied, floored, torch.ones_like(deviation))

    def scaled_output(self) -> tuple[Tensor, Tensor]:
        """Means and scales of one output; a level that never varied is given its mean, not the network's noise."""
        deviation = (self.squares / max(self.n, 1)).sqrt()
        deviation = torch.where(deviation > CONSTANT_SHARE * self.largest, deviation, torch.zeros_like(deviation))
        floor = max(SCALE_FLOOR * float(deviation.square().mean().sqrt()), CONSTANT_SCALE)
        return self.mean, deviation.clamp(min=floor)


class _Range:
    """Running minimum and maximum of rows."""

    def __init__(self) -> None:
        self.minimum = torch.tensor(torch.inf, dtype=torch.float64)
        self.maximum = torch.tensor(-torch.inf, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        if rows.shape[0]:
            self.minimum = torch.minimum(self.minimum, rows.amin(dim=0))
            self.maximum = torch.maximum(self.maximum, rows.amax(dim=0))


def _rows(value: Tensor) -> Tensor:
    return value.reshape(value.shape[0], -1)


def _ratio(rows: Tensor, samples: Samples, scale_by: str | None) -> Tensor:
    """What the network has to return before its scale, of the columns in which that is defined."""
    if scale_by is None:
        return rows
    scale = samples.inputs[scale_by]
    return rows[scale != 0.0] / scale[scale != 0.0].unsqueeze(1)


def _check_shapes(spec: EmulatorSpec, samples: Samples, source: str) -> None:
    """Every field of the spec is there and has its number of levels."""
    for names, fields in ((spec.inputs, samples.inputs), (spec.outputs, samples.targets)):
        for name in names:
            if name not in fields:
                raise EmagramError(f"statistics of {source}: expected variable '{name}', got only {sorted(fields)}")
            more = () if VARIABLES[name].dimension == "column" else (spec.size(name),)
            if tuple(fields[name].shape) != (samples.n_column, *more):
                raise EmagramError(
                    f"statistics of {source}: expected '{name}' of shape {(samples.n_column, *more)}, "
                    f"got {tuple(fields[name].shape)}"
                )


def _check_finite(samples: Samples, source: str) -> None:
    for name, value in (samples.inputs | samples.targets).items():
        if not bool(value.isfinite().all()):
            raise EmagramError(f"statistics of {source}: expected finite values of '{name}', got NaN or infinity")


def _first_difference(ours: tuple[object, ...], theirs: tuple[object, ...]) -> tuple[object, object]:
    """What the emulator has and what the statistics have where they first differ, None beyond the end."""
    n = max(len(ours), len(theirs))
    padded = zip((*theirs, *[None] * (n - len(theirs))), (*ours, *[None] * (n - len(ours))), strict=True)
    return next(pair for pair in padded if pair[0] != pair[1])
