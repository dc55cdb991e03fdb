"""Records of noisy states, and columns spread about their climate: how physics answers an emulator's errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from emagram.hybrid.case import CaseConfig, RecordConfig, SpreadConfig
from emagram.hybrid.initial_state import make_initial_state
from emagram.hybrid.run import run
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from host_case import contents, read, small_case

NOISE = {"temperature_noise": 2.0, "water_noise": 0.2, "wind_noise": 3.0}


def case(**noise: float) -> CaseConfig:
    return small_case(record=RecordConfig(every=5, offset=40, **noise))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(case(), output=tmp_path_factory.mktemp("quiet") / "run")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(case(**NOISE), output=tmp_path_factory.mktemp("noisy") / "run")


def recorded(folder: Path, kind: str, name: str) -> np.ndarray:
    """(n_step, n_column, n_level) or (n_step, n_column)"""
    return np.stack([read(path)[name] for path in sorted((folder / "columns").glob(f"*.{kind}.*"))])


def test_the_run_itself_has_no_noise(quiet: Path, noisy: Path) -> None:
    for name in ("restart.nc", "history.nc"):
        assert contents(quiet)[name] == contents(noisy)[name]


def test_the_noise_is_as_large_as_asked_for_and_independent(quiet: Path, noisy: Path) -> None:
    for name, size in (("state_t", 2.0), ("state_u", 3.0), ("state_v", 3.0)):
        noise = (recorded(noisy, "mli", name) - recorded(quiet, "mli", name)) / size
        n = noise.size
        assert abs(noise.mean()) < 5.0 / np.sqrt(n)
        assert noise.std() == pytest.approx(1.0, abs=5.0 / np.sqrt(n))
        for first, second in (
            (noise[:, :, 1:], noise[:, :, :-1]),
            (noise[1:], noise[:-1]),
            (noise[:, 1:], noise[:, :-1]),
        ):
            assert abs((first * second).mean()) < 5.0 / np.sqrt(n)
    ratio = recorded(noisy, "mli", "state_q0001") / recorded(quiet, "mli", "state_q0001")
    assert np.log(ratio).std() == pytest.approx(0.2, rel=0.05)
    assert recorded(noisy, "mli", "state_q0002").min() >= 0.0


def test_what_follows_is_the_physics_of_the_noisy_state(noisy: Path) -> None:
    initial, constants = read(noisy / "initial.nc"), Constants()
    interface = initial["hyai"] * initial["P0"] + initial["hybi"] * initial["surface_air_pressure"][:, None]
    mass = np.diff(interface, axis=1) / constants.gravity
    water = sum(recorded(noisy, "mlo", f"state_q000{i}") - recorded(noisy, "mli", f"state_q000{i}") for i in (1, 2, 3))
    rain = constants.density_liquid_water * recorded(noisy, "mlo", "cam_out_PRECC")
    np.testing.assert_allclose((water * mass).sum(axis=2) / 1200.0, -rain, atol=1e-14)
    assert rain.max() > 1e-5


@pytest.mark.mpi
def test_ranks_change_no_bit_of_it(noisy: Path, tmp_path: Path) -> None:
    assert contents(run(dataclasses.replace(case(**NOISE), chunk=3), ranks=4, output=tmp_path / "run")) == contents(
        noisy
    )


def test_columns_are_spread_smoothly_about_their_climate() -> None:
    base = small_case()
    grid = base.grid.build()
    still = make_initial_state(base, grid)
    spread = make_initial_state(dataclasses.replace(base, spread=SpreadConfig(5.0, 0.3)), grid)
    change = spread["reference_air_temperature"] - still["reference_air_temperature"]
    assert change.std() == pytest.approx(5.0, rel=0.5)
    assert np.abs(np.diff(change, axis=1)).max() < 0.4 * np.abs(change).max()
    np.testing.assert_allclose(
        spread["air_temperature"] - still["air_temperature"], change, atol=1e-10
    )  # the same of what columns begin with and relax to
    moisture = spread["specific_humidity"] / still["specific_humidity"]
    assert np.log(moisture).std() > 0.1
    for name in ("surface_temperature", "surface_air_pressure", "forcing_phase", "eastward_wind"):
        np.testing.assert_array_equal(spread[name], still[name])


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: RecordConfig(temperature_noise=-1.0), "record 'temperature_noise': expected a number from 0 to 20"),
        (lambda: RecordConfig(water_noise=2.0), "record 'water_noise': expected a number from 0 to 1, got 2"),
        (lambda: SpreadConfig(temperature=30.0), "spread 'temperature': expected a number from 0 to 20, got 30"),
    ],
)
def test_noise_and_spread_out_of_range_are_refused(build: object, sentence: str) -> None:
    with pytest.raises(EmagramError, match=sentence):
        build()  # type: ignore[operator]
