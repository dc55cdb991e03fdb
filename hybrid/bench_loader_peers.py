"""The loaders that one would write with xarray, for comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..emulators.data.climsim_toy import TIME_STEP

Batch = dict[str, NDArray[np.float64]]
"""Fields by their name in the variables table, (n,) or (n, size)."""

N_TOGETHER = 8
"""Files whose columns `pass_per_file` shuffles together."""


@contextmanager
def open_whole(folder: Path, names: Mapping[str, str]) -> Iterator[Callable[[NDArray[np.int64]], Batch]]:
    """`open_mfdataset` of all files, chunks as they come; gives a function that loads the columns of an index.

    Args:
        folder: with mli and mlo files.
        names: ClimSim's, by name in the variables table.
    """
    mli, mlo = (_open_all(sorted(folder.glob(f"*.{kind}.*.nc"))) for kind in ("mli", "mlo"))
    with mli, mlo:
        samples = _variables(mli, mlo, names).stack(sample=("time", "ncol"))

        def draw(index: NDArray[np.int64]) -> Batch:
            loaded = samples.isel(sample=np.sort(index)).load()  # sorted: xarray and dask are faster so
            return {name: loaded[alias].transpose("sample", ...).values for name, alias in names.items()}

        yield draw


def pass_per_file(folder: Path, names: Mapping[str, str], *, size: int, seed: int) -> Iterator[Batch]:
    """Files in shuffled order, each loaded whole; the columns of a few shuffled together and cut into batches."""
    random = np.random.Generator(np.random.PCG64(seed))
    paths = random.permutation(np.array(sorted(folder.glob("*.mli.*.nc")), dtype=object))
    held: list[Batch] = []
    rest: Batch = {}
    for number, path in enumerate(paths, start=1):
        held.append(_load(path, names))
        if number % N_TOGETHER and number < len(paths):
            continue
        pool = {name: np.concatenate([*([rest[name]] if rest else []), *(b[name] for b in held)]) for name in names}
        order = random.permutation(len(next(iter(pool.values()))))
        n_whole = len(order) if number == len(paths) else len(order) - len(order) % size
        for start in range(0, n_whole, size):
            yield {name: values[order[start : min(start + size, n_whole)]] for name, values in pool.items()}
        held, rest = [], {name: values[order[n_whole:]] for name, values in pool.items()}


def _open_all(paths: list[Path]) -> xr.Dataset:
    return xr.open_mfdataset(paths, combine="nested", concat_dim="time", engine="netcdf4")


def _load(path: Path, names: Mapping[str, str]) -> Batch:
    partner = path.with_name(path.name.replace(".mli.", ".mlo."))
    with xr.open_dataset(path, engine="netcdf4") as mli, xr.open_dataset(partner, engine="netcdf4") as mlo:
        loaded = _variables(mli, mlo, names).load()
        return {name: loaded[alias].transpose("ncol", ...).values for name, alias in names.items()}


def _variables(mli: xr.Dataset, mlo: xr.Dataset, names: Mapping[str, str]) -> xr.Dataset:
    """Inputs and tendencies by ClimSim's names; snow on no sea ice is 0."""
    variables = {}
    for name in names.values():
        if name.startswith("ptend_"):
            state = name.replace("ptend", "state")
            variables[name] = (mlo[state] - mli[state]) / TIME_STEP
        else:
            variables[name] = mlo[name] if name.startswith("cam_out_") else mli[name]
    if "cam_in_SNOWHICE" in variables:
        variables["cam_in_SNOWHICE"] = variables["cam_in_SNOWHICE"].where(variables["cam_in_SNOWHICE"] < 1e29, 0.0)
    return xr.Dataset(variables)
