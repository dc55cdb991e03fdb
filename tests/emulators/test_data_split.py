"""Splits: sites and climates held out, deterministic, complete."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from emagram.emulators.data.generated import CLIMATES
from emagram.emulators.data.split import GENERATED_HELDOUT_CLIMATES, RFMIP_HELDOUT_CLIMATES, Split, split_columns
from emagram.physics.errors import EmagramError

LABELS = ("Present day (PD)", "4xCO2", "+4K", "+4K, const. RH")
HELDOUT = ("+4K", "+4K, const. RH")


def columns_of(n_site: int, labels: tuple[str, ...] = LABELS) -> xr.Dataset:
    return xr.Dataset(
        coords={
            "site": ("column", np.tile(np.arange(n_site), len(labels))),
            "experiment_label": ("column", np.repeat(np.asarray(labels), n_site)),
        }
    )


def sites(columns: xr.Dataset, index: np.ndarray) -> set[int]:
    return set(columns["site"].values[index].tolist())


def climates(columns: xr.Dataset, index: np.ndarray) -> set[str]:
    return set(columns["experiment_label"].values[index].tolist())


def parts(split: Split) -> tuple[np.ndarray, ...]:
    return split.train, split.validation, split.test_site_train_climate, split.test_site_heldout_climate


@given(n_site=st.integers(10, 60), seed=st.integers(0, 1000), fold=st.integers(0, 4))
def test_sites_and_climates_do_not_leak(n_site: int, seed: int, fold: int) -> None:
    columns = columns_of(n_site)
    split = split_columns(columns, HELDOUT, fold=fold, seed=seed)
    train, validation, test = (sites(columns, index) for index in parts(split)[:3])
    assert len(train) + len(validation) + len(test) == n_site
    assert train | validation | test == set(range(n_site))
    assert sites(columns, split.test_site_heldout_climate) == test
    for index in parts(split)[:3]:
        assert climates(columns, index) == set(LABELS) - set(HELDOUT)
    assert climates(columns, split.test_site_heldout_climate) == set(HELDOUT)
    for index in parts(split):
        assert index.size > 0
        assert (np.diff(index) > 0).all()


def test_folds_test_every_site_once() -> None:
    columns = columns_of(23)
    splits = [split_columns(columns, HELDOUT, fold=fold) for fold in range(5)]
    tested = [site for split in splits for site in sites(columns, split.test_site_train_climate)]
    assert sorted(tested) == list(range(23))


def test_sizes_of_the_real_data() -> None:
    """100 sites in 15 climates of which 4 are held out: 70 sites train, 10 validate, 20 test."""
    labels = (*(f"climate {i}" for i in range(11)), *RFMIP_HELDOUT_CLIMATES)
    split = split_columns(columns_of(100, labels), RFMIP_HELDOUT_CLIMATES, fold=0)
    assert [index.size for index in parts(split)] == [70 * 11, 10 * 11, 20 * 11, 20 * 4]


def test_a_seed_decides() -> None:
    columns = columns_of(40)
    first, again, other = (split_columns(columns, HELDOUT, fold=2, seed=seed) for seed in (5, 5, 6))
    for a, b in zip(parts(first), parts(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert sites(columns, first.test_site_train_climate) != sites(columns, other.test_site_train_climate)


def test_default_climates_exist_where_they_are_meant_for() -> None:
    assert set(GENERATED_HELDOUT_CLIMATES) < set(CLIMATES)
    assert set(GENERATED_HELDOUT_CLIMATES) < set(RFMIP_HELDOUT_CLIMATES)


@pytest.mark.parametrize(
    ("heldout", "arguments", "message"),
    [
        (("+4k",), {"fold": 0}, r"the nearest is '\+4K'\), got '\+4k'"),
        (LABELS, {"fold": 0}, "at least one climate left to train on"),
        (HELDOUT, {"fold": 5}, "a number from 0 to 4, got 5"),
        (HELDOUT, {"fold": 0, "n_fold": 2}, "at least 3 .*, got 2"),
        (HELDOUT, {"fold": 0, "n_fold": 8}, "at least 16 sites for 8 folds, got 12"),
    ],
)
def test_bad_arguments_are_one_sentence(heldout: tuple[str, ...], arguments: dict[str, int], message: str) -> None:
    with pytest.raises(EmagramError, match=message):
        split_columns(columns_of(12), heldout, **arguments)
