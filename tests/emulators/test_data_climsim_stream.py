"""The streaming loader: every column once, as it was written, in an order that the seed alone decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emagram.emulators.climsim import climsim_spec
from emagram.emulators.data.climsim_files import write_pair
from emagram.emulators.data.climsim_grid import read_climsim_grid
from emagram.emulators.data.climsim_series import Series, find_series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.emulators.data.climsim_synthetic import generate_climsim
from emagram.emulators.data.noleap import seconds_of
from emagram.emulators.training.samples import SampleSource, count_batches
from emagram.physics.errors import EmagramError
from toy_series import (
    N_COLUMN,
    N_STEP,
    START,
    TIME_STEP,
    Array,
    ToySeries,
    as_rows,
    assert_same,
    expected_rows,
    rows,
    sorted_rows,
    stream,
    write_series,
)

pytestmark = pytest.mark.usefixtures("no_hanging")


@pytest.mark.parametrize("name", ["v1", "v2", "v2_rh", "v2_rh_mc"])
def test_in_order_every_field_is_what_was_written(toy: ToySeries, series: Series, name: str) -> None:
    found = list(stream(toy, series, name).ordered())
    assert [time for time, _ in found] == list(toy.times)
    assert_same(rows(samples for _, samples in found), expected_rows(toy, name, range(N_STEP)))


@pytest.mark.parametrize("name", ["v4", "v5", "v6", "v7"])
def test_sets_with_memory_look_at_the_steps_before(toy: ToySeries, series: Series, name: str) -> None:
    n_previous = 1 if name == "v7" else 2
    found = stream(toy, series.with_previous(n_previous), name).ordered()
    assert_same(rows(samples for _, samples in found), expected_rows(toy, name, range(n_previous, N_STEP)))
    with pytest.raises(EmagramError, match=f"expected {n_previous} recorded steps before the first"):
        stream(toy, series, name)


def test_the_steps_before_a_chosen_one_need_not_be_chosen(toy: ToySeries, series: Series) -> None:
    chosen = series.select(stride=7, offset=3)
    found = list(stream(toy, chosen, "v7").batches(1000, seed=0))
    assert_same(sorted_rows(rows(found)), sorted_rows(expected_rows(toy, "v7", range(3, N_STEP, 7))))


@pytest.mark.parametrize("size", [1, 7, 24, 64, 480, 1000])
@pytest.mark.parametrize("buffer_columns", [1, 10, 24, 100, 479, 480, 10_000])
def test_a_pass_has_every_column_once(toy: ToySeries, series: Series, size: int, buffer_columns: int) -> None:
    source = stream(toy, series, buffer_columns=buffer_columns)
    batches = list(source.batches(size, seed=5))
    assert source.n_column == N_STEP * N_COLUMN
    assert [b.n_column for b in batches[:-1]] == [size] * (len(batches) - 1)
    assert len(batches) == count_batches(source.n_column, size)
    assert_same(sorted_rows(rows(batches)), sorted_rows(expected_rows(toy, "v1", range(N_STEP))))


def test_inputs_and_targets_are_of_the_same_column(toy: ToySeries, series: Series) -> None:
    """Sets of rows would also agree if fields were exchanged between a batch's samples."""
    known = {step["mli"]["state_t"][i].tobytes(): (k, i) for k, step in enumerate(toy.steps) for i in range(N_COLUMN)}
    assert len(known) == N_STEP * N_COLUMN
    for batch in stream(toy, series).batches(50, seed=1):
        for row in range(batch.n_column):
            k, i = known[batch.inputs["air_temperature"][row].numpy().tobytes()]
            humidity = batch.inputs["specific_humidity"][row].numpy()
            assert humidity.tobytes() == toy.steps[k]["mli"]["state_q0001"][i].tobytes()
            assert float(batch.targets["lwe_precipitation_rate"][row]) == toy.steps[k]["mlo"]["cam_out_PRECC"][i]


def test_batches_stay_what_they_were(toy: ToySeries, series: Series) -> None:
    """Rows that leave the buffer are not overwritten by rows that enter it."""
    source = stream(toy, series, workers=2)
    kept = list(source.batches(32, seed=2))
    seen = [as_rows(batch).copy() for batch in source.batches(32, seed=2)]
    assert_same(rows(kept), np.concatenate(seen))
    kept = [samples for _, samples in source.ordered()]
    assert_same(rows(kept), expected_rows(toy, "v1", range(N_STEP)))


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("name", ["v1", "v7"])
def test_the_number_of_workers_changes_nothing(toy: ToySeries, series: Series, workers: int, name: str) -> None:
    chosen = series.with_previous(1)
    alone = [as_rows(batch) for batch in stream(toy, chosen, name).batches(37, seed=3)]
    helped = [as_rows(batch) for batch in stream(toy, chosen, name, workers=workers).batches(37, seed=3)]
    assert [a.tobytes() for a in alone] == [h.tobytes() for h in helped]


def test_the_seed_alone_decides_the_order(toy: ToySeries, series: Series) -> None:
    source = stream(toy, series)
    first, other = rows(source.batches(48, seed=0)), rows(source.batches(48, seed=1))
    np.random.default_rng().random(10)
    np.random.seed(3)  # noqa: NPY002
    assert first.tobytes() == rows(stream(toy, series).batches(48, seed=0)).tobytes()
    assert first.tobytes() == rows(source.batches(17, seed=0)).tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize(("size", "n_part"), [(24, 2), (16, 3), (7, 4), (480, 2), (100, 5)])
def test_parts_together_are_one_pass_with_larger_batches(
    toy: ToySeries, series: Series, size: int, n_part: int
) -> None:
    source: SampleSource = stream(toy, series)
    parts = [list(source.batches(size, seed=4, part=part, n_part=n_part)) for part in range(n_part)]
    whole = list(source.batches(size * n_part, seed=4))
    assert {len(part) for part in parts} == {len(whole)} == {count_batches(source.n_column, size, n_part)}
    for k, together in enumerate(whole):
        assert rows(part[k] for part in parts).tobytes() == as_rows(together).tobytes()
        assert max(part[k].n_column for part in parts) <= size
    for part, of in ((-1, 2), (2, 2), (0, 0)):
        with pytest.raises(EmagramError, match="expected a part"):
            next(source.batches(8, seed=0, part=part, n_part=of))


def provenance(toy: ToySeries, found: Array) -> Array:
    """Step number of each row, from its temperature at the top."""
    top = np.stack([step["mli"]["state_t"][:, 0] for step in toy.steps])
    number = {float(t): k for k, row in enumerate(top) for t in row}
    return np.array([number[float(t)] for t in found[:, 0]], dtype=float)


@pytest.fixture(scope="module")
def long_toy(tmp_path_factory: pytest.TempPathFactory) -> ToySeries:
    return write_series(tmp_path_factory.mktemp("many"), 300, n_column=N_COLUMN, n_level=2)


def test_how_good_the_shuffle_is(long_toy: ToySeries) -> None:
    """What the docstring promises: neighbours in time and in a file are strangers in a pass.

    With a buffer of 40 steps, the steps of a batch of 240 columns should be nearly those of 240 random columns (about
    165 of 300 for a perfect shuffle; at most 49 different steps are in a batch at all if files went through in order).
    """
    of = climsim_spec("v1", n_level=2)
    source = ColumnStream(find_series(long_toy.folder), of, long_toy.grid, buffer_columns=40 * N_COLUMN)
    steps = provenance(long_toy, rows(source.batches(240, seed=9)))
    n = steps.size
    assert n == 300 * N_COLUMN
    batches = steps.reshape(-1, 240)
    # A step's columns are spread over the pass, not in one place: mean distance of two of them in the pass.
    where = [np.flatnonzero(steps == k) for k in range(300)]
    spread = np.mean([np.abs(np.subtract.outer(w, w)).sum() / (24 * 23) for w in where])
    assert spread > 0.5 * 40 * N_COLUMN  # two exponential waiting times of mean 960 differ by 960; less at the ends
    # The pass has no trend in time and no memory from column to column beyond what the buffer allows.
    assert abs(np.corrcoef(steps, np.arange(n))[0, 1]) < 0.15
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 0.1
    assert np.mean([len(set(b)) for b in batches]) > 60
    perfect = ColumnStream(find_series(long_toy.folder), of, long_toy.grid, buffer_columns=n)
    steps = provenance(long_toy, rows(perfect.batches(240, seed=9)))
    distinct = np.mean([len(set(b)) for b in steps.reshape(-1, 240)])
    assert abs(distinct - 300 * (1 - (1 - 240 / n) ** 24)) < 3.0
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 4 / np.sqrt(n)


@pytest.mark.parametrize("name", ["v2_rh", "v6"])
def test_columns_drawn_from_climsims_statistics_go_through_files(real_data: Path, tmp_path: Path, name: str) -> None:
    """The writer's and the reader's ranges hold what ClimSim's statistics say occurs, on its own grid."""
    grid = read_climsim_grid(real_data / "climsim/grid_info/ClimSim_low-res_grid-info.nc")
    steps = tuple(generate_climsim(real_data / "climsim/column_statistics.nc", grid, 3, seed=0))
    times = tuple(seconds_of(START) + TIME_STEP * number for number in range(3))
    for time, step in zip(times, steps, strict=True):
        write_pair(tmp_path, "drawn", time, step["mli"], step["mlo"])
    source = ColumnStream(find_series(tmp_path).with_previous(2), climsim_spec(name), grid)
    ((time, samples),) = source.ordered()
    assert (time, samples.n_column) == (times[2], 384)
    temperature = (steps[2]["mlo"]["state_t"] - steps[2]["mli"]["state_t"]) / TIME_STEP
    tendency = samples.targets["tendency_of_air_temperature_due_to_model_physics"].numpy()
    np.testing.assert_allclose(tendency, temperature, rtol=1e-12, atol=1e-20)
    np.testing.assert_array_equal(samples.inputs["eastward_wind"].numpy(), steps[2]["mli"]["state_u"])
