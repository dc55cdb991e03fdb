"""Which columns train, validate and test: sites and climates are held out separately."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...physics.errors import EmagramError

Index = NDArray[np.int64]

RFMIP_HELDOUT_CLIMATES = ("+4K", "+4K, const. RH", '"future"', "PI all")
GENERATED_HELDOUT_CLIMATES = ("+4K", "+4K, const. RH")


@dataclass(frozen=True)
class Split:
    """Column numbers of one fold, each ascending, no two sharing a column.

    Train, validation and test sites are three disjoint sets of sites, because the columns of one
    site in two climates are nearly the same column. Validation columns come from training climates only, so no
    choice made by validation score has seen a held-out climate. Held-out climates at train and validation sites
    belong to no set.
    """

    train: Index
    validation: Index
    test_site_train_climate: Index
    test_site_heldout_climate: Index


def split_columns(
    columns: xr.Dataset, heldout_climates: Sequence[str], *, fold: int, n_fold: int = 5, seed: int = 0
) -> Split:
    """Split columns by site and by climate.

    The sites are permuted by `seed` and dealt into `n_fold` folds of nearly equal size. Sites of fold `fold` test;
    the first half of the next fold validates; all others train.

    Args:
        columns: with coordinates `site` (int) and `experiment_label` (str), both (column).
        heldout_climates: labels of the climates that no training or validation column may have.
        fold: number of the fold that tests, 0 ≤ fold < n_fold.
        n_fold: number of folds, at least 3.
        seed: of the permutation of sites; the same seed gives disjoint test sites in different folds.
    Raises:
        EmagramError: if a label is unknown, no climate is left to train on, a fold does not exist, or there are fewer
            than two sites for each fold.
    """
    label = columns["experiment_label"].values.astype(str)
    site = columns["site"].values
    _check_labels(heldout_climates, label)
    role = _role_of_sites(np.unique(site), fold=fold, n_fold=n_fold, seed=seed)
    heldout = np.isin(label, list(heldout_climates))
    train, validation, test = (np.isin(site, role[name]) for name in ("train", "validation", "test"))
    return Split(
        train=np.flatnonzero(train & ~heldout),
        validation=np.flatnonzero(validation & ~heldout),
        test_site_train_climate=np.flatnonzero(test & ~heldout),
        test_site_heldout_climate=np.flatnonzero(test & heldout),
    )


def _role_of_sites(sites: Index, *, fold: int, n_fold: int, seed: int) -> dict[str, Index]:
    """Deal the sites into folds and give each fold its role."""
    if n_fold < 3:
        raise EmagramError(f"split 'n_fold': expected at least 3 (train, validation, test), got {n_fold}")
    if not 0 <= fold < n_fold:
        raise EmagramError(f"split 'fold': expected a number from 0 to {n_fold - 1}, got {fold}")
    if sites.size < 2 * n_fold:
        raise EmagramError(f"split 'site': expected at least {2 * n_fold} sites for {n_fold} folds, got {sites.size}")
    folds = np.array_split(np.random.Generator(np.random.PCG64(seed)).permutation(sites), n_fold)
    following = folds[(fold + 1) % n_fold]
    validation = following[: following.size // 2]
    return {
        "test": folds[fold],
        "validation": validation,
        "train": np.setdiff1d(sites, np.concatenate([folds[fold], validation])),
    }


def _check_labels(heldout_climates: Sequence[str], label: NDArray[np.str_]) -> None:
    """Refuse labels that no column has, and a choice that leaves nothing to train on."""
    known = list(dict.fromkeys(label.tolist()))
    for climate in heldout_climates:
        if climate not in known:
            nearest = max(known, key=lambda name: difflib.SequenceMatcher(None, climate.lower(), name.lower()).ratio())
            raise EmagramError(
                f"split 'heldout_climates': expected labels of the data (the nearest is {nearest!r}), got {climate!r}"
            )
    if set(known) <= set(heldout_climates):
        raise EmagramError("split 'heldout_climates': expected at least one climate left to train on, got none")
