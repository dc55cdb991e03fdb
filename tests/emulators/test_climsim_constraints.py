"""Emulators of ClimSim's sets with constraints: what they read besides, close, and take along in a model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import emagram
from constrained_columns import ENERGY_CLOSED, TYPES, WATER_CLOSED
from emagram.emulators.climsim import climsim_spec, pack_inputs
from emagram.emulators.climsim_budgets import BUDGETS, WATERS, ColumnState, column_budgets
from emagram.emulators.climsim_constraints import TOP_PRESSURE, climsim_constraints, constrained
from emagram.emulators.climsim_study_config import ClimsimStudyConfig, PartConfig, RecordsConfig
from emagram.emulators.data.climsim_series import find_series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.export import _rebuild, export, load_emulator, to_model_file
from emagram.emulators.model_file import from_bytes, to_bytes
from emagram.emulators.networks.dense import DenseConfig
from emagram.emulators.statistics import stream_normalisation
from emagram.emulators.training.objectives import NormalisedObjectiveConfig
from emagram.emulators.training.samples import Samples
from emagram.physics.constants import Constants
from emagram.physics.constraints import Accounts, close
from emagram.physics.errors import EmagramError
from emagram.physics.variables import find
from stepping import bind
from toy_columns import toy_grid, toy_samples
from toy_series import write_series

N_LEVEL = 12
STEP = 4
PRESSURE = "air_pressure_at_interface"
TOA = tuple(find(name, "climsim").name for name in ("cam_out_FSNT", "cam_out_FLUT"))


def whole_spec(names: tuple[str, ...] = TYPES, n_level: int = N_LEVEL) -> EmulatorSpec:
    """Of the set v2 with the fluxes at the top."""
    spec = climsim_spec("v2", n_level=n_level)
    return constrained(replace(spec, outputs=spec.outputs + TOA), names)


def whole_samples(spec: EmulatorSpec) -> Samples:
    """The toy has no fluxes at the top; any values of the right size do as targets."""
    bare = replace(spec, outputs=tuple(name for name in spec.outputs if name not in TOA), constraints=())
    samples = toy_samples(bare, STEP)
    sun = samples.inputs["toa_incoming_shortwave_flux"]
    top = {TOA[0]: 0.7 * sun, TOA[1]: 240.0 + samples.inputs["air_temperature"][:, -1] - 285.0}
    targets: Mapping[str, Tensor] = samples.targets | top
    return Samples(samples.inputs, {name: targets[name] for name in spec.outputs})


def emulator_of(spec: EmulatorSpec, samples: Samples, seed: int = 0) -> ColumnEmulator:
    torch.manual_seed(seed)
    emulator = ColumnEmulator(spec, DenseConfig((16,)).build(spec.layout))
    stream_normalisation([samples], spec).apply(emulator)
    return emulator.eval()


def test_the_inputs_of_constraints_come_after_those_of_the_set() -> None:
    plain, spec = climsim_spec("v2", n_level=N_LEVEL), whole_spec()
    assert spec.inputs == (*plain.inputs, PRESSURE)
    assert spec.features == plain.features
    assert [constraint.to_manifest()["type"] for constraint in spec.constraints] == list(TYPES)
    short = constrained(climsim_spec("v1", n_level=N_LEVEL), ["shortwave", "precipitation"])
    assert short.inputs[: len(climsim_spec("v1").inputs)] == climsim_spec("v1").inputs
    assert len(short.inputs) == len(climsim_spec("v1").inputs) + 4  # albedos
    assert short.size(PRESSURE) == N_LEVEL + 1
    assert constrained(plain, ()) == plain


def test_the_order_is_that_of_the_sequence_whatever_was_asked() -> None:
    spec = climsim_spec("v2", n_level=N_LEVEL, constants=Constants(gravity=9.8), time_step=600.0)
    built = climsim_constraints(spec, ("positivity", "upper_levels", "precipitation"))
    assert [constraint.name for constraint in built] == ["upper_levels", "precipitation", "positivity"]
    assert built[2].time_step == 600.0  # type: ignore[attr-defined]
    assert built[0].constants.gravity == 9.8  # type: ignore[attr-defined]


def test_bounds_and_sunlight_take_the_top_along_where_it_is() -> None:
    plain = {c.name: c for c in constrained(climsim_spec("v2"), ("shortwave", "bounds")).constraints}
    whole = {c.name: c for c in whole_spec().constraints}
    assert TOA[0] not in plain["shortwave"].outputs
    assert TOA[0] in whole["shortwave"].outputs
    assert set(whole["bounds"].outputs) - set(plain["bounds"].outputs) == {TOA[1]}


@pytest.mark.parametrize(
    ("set_name", "names", "text"),
    [
        ("v2", ("water_and_energie",), "constraint 'water_and_energie': expected one of .*nearest 'water_and_energy'"),
        ("v2", ("bounds", "bounds"), "constraints: expected distinct names"),
        ("v2", ("water_and_energy",), r"'water_and_energy': expected output 'toa_net.*' \(cam_out_FSNT, which 'extra_"),
        ("v1", ("positivity",), r"constraint 'positivity': expected output '.*liquid.*' \(ptend_q0002\)"),
        ("v5", ("upper_levels",), r"constraint 'upper_levels': expected output '.*liquid.*' \(ptend_q0002\)"),
    ],
)
def test_constraints_that_cannot_be_are_refused(set_name: str, names: tuple[str, ...], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        constrained(climsim_spec(set_name), names)


def test_a_spec_refuses_constraints_on_fields_it_lacks() -> None:
    spec = whole_spec()
    with pytest.raises(EmagramError, match=f"expected an input or output of the emulator, got '{PRESSURE}'"):
        replace(spec, inputs=tuple(name for name in spec.inputs if name != PRESSURE))
    with pytest.raises(EmagramError, match="constraint 'shortwave': expected an output of the emulator, got 'toa_net"):
        replace(spec, outputs=tuple(name for name in spec.outputs if name != TOA[0]))


@torch.no_grad()
def test_an_emulator_closes_what_the_evaluation_measures() -> None:
    """By the residuals of `climsim_budgets`, written before and apart from the constraints."""
    spec = whole_spec()
    samples = whole_samples(spec)
    emulator = emulator_of(spec, samples)
    outputs = emulator(samples.inputs)
    raw = emulator.decode(emulator.network(emulator.encode(samples.inputs)), samples.inputs)
    assert spec.time_step is not None
    measured = {}
    for kind, fields in (("raw", raw), ("closed", outputs)):
        state = ColumnState({**samples.inputs, **fields}, samples.inputs[PRESSURE], spec.constants, spec.time_step)
        measured[kind] = column_budgets(state)
    assert float(measured["raw"]["A_water"].abs().min()) > 1e-12
    assert float(measured["closed"]["A_water"].abs().max()) <= WATER_CLOSED
    assert float(measured["closed"]["B_energy"].abs().max()) <= ENERGY_CLOSED
    assert float(measured["closed"]["C_surface_shortwave"].abs().max()) <= ENERGY_CLOSED
    for budget in BUDGETS:
        if budget.name.startswith("D_") and budget.name != "D_cloud_phase":
            assert float(measured["closed"][budget.name].max()) <= 1e-12, budget.name
    names = {"upper_levels_water", "shortwave", "positivity", "positivity_deficit", "column_water", "column_energy"}
    assert set(emulator.residuals(outputs, samples.inputs)) == names
    ours = emulator.residuals(raw, samples.inputs)
    torch.testing.assert_close(ours["column_energy"], measured["raw"]["B_energy"], rtol=1e-10, atol=1e-9)
    torch.testing.assert_close(ours["column_water"], measured["raw"]["A_water"], rtol=1e-10, atol=1e-15)


def test_features_do_not_see_what_only_constraints_read() -> None:
    spec = whole_spec()
    samples = whole_samples(spec)
    assert torch.equal(pack_inputs(spec, samples.inputs), pack_inputs(climsim_spec("v2", n_level=12), samples.inputs))
    emulator = emulator_of(spec, samples)
    assert emulator.input_minimum.numel() == emulator.feature_mean.numel() + N_LEVEL + 1
    assert bool((emulator.input_minimum[-N_LEVEL - 1 :] < emulator.input_maximum[-N_LEVEL - 1 :]).any())


def test_training_lowers_the_loss_of_closed_columns() -> None:
    spec = whole_spec()
    samples = whole_samples(spec)
    emulator = emulator_of(spec, samples).train()
    objective = NormalisedObjectiveConfig("huber").build(emulator)
    optimiser = torch.optim.Adam(emulator.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = objective(emulator(samples.inputs), samples.targets, samples.inputs)
        loss.backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in emulator.parameters())
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]


def test_the_stream_delivers_the_pressure_at_the_interfaces(tmp_path: Path) -> None:
    series = write_series(tmp_path, 4, n_column=24, n_level=7)
    plain = climsim_spec("v2", n_level=7)
    spec = constrained(plain, ("upper_levels", "shortwave", "bounds", "precipitation", "positivity"))
    found = find_series(tmp_path)
    stream = ColumnStream(found, spec, series.grid)
    bare = ColumnStream(found, plain, series.grid)
    for (time, samples), (same, without), step in zip(stream.ordered(), bare.ordered(), series.steps, strict=True):
        assert time == same
        surface = step["mli"]["state_ps"][:, None]
        expected = series.grid.coordinate.p0 * np.array(series.grid.coordinate.hyai)
        expected = expected + surface * np.array(series.grid.coordinate.hybi)
        np.testing.assert_allclose(samples.inputs[PRESSURE].numpy(), expected, rtol=1e-14)
        assert samples.inputs[PRESSURE].shape == (24, 8)
        for name in plain.inputs:
            assert torch.equal(samples.inputs[name], without.inputs[name])
    (batch,) = stream.batches(1000, seed=1)
    assert batch.inputs[PRESSURE].shape == (96, 8)
    assert torch.allclose(batch.inputs[PRESSURE][:, -1], batch.inputs["surface_air_pressure"], rtol=1e-12)


def test_a_model_file_takes_the_sequence_along() -> None:
    """In torch: written, read and replayed."""
    spec = whole_spec()
    samples = whole_samples(spec)
    emulator = emulator_of(spec, samples)
    data = to_bytes(to_model_file(emulator, samples.inputs, name="closed", description="", provenance={}))
    contents = from_bytes(data, name="closed")
    entries = {entry["name"]: entry for entry in contents.manifest["inputs"]}
    assert list(entries) == list(spec.inputs)
    assert [name for name, entry in entries.items() if "monotonic" in entry] == [PRESSURE]
    assert [entry["type"] for entry in contents.manifest["constraints"]] == list(TYPES)
    again = _rebuild(contents, "closed")
    assert again.spec == spec
    for name, value in again(samples.inputs).items():
        assert torch.equal(value, emulator(samples.inputs)[name])


def test_the_native_library_replays_the_sequence(tmp_path: Path) -> None:
    spec = whole_spec()
    samples = whole_samples(spec)
    export(emulator_of(spec, samples), tmp_path / "closed.emg", samples=samples.inputs, name="closed")
    assert load_emulator(tmp_path / "closed.emg").spec == spec


@torch.no_grad()
def test_no_water_moves_above_the_upper_levels_in_either_language(tmp_path: Path) -> None:
    """Where its state is not negative the rate is exactly 0, in spite of a network that returns anything there."""
    spec = whole_spec()
    samples = whole_samples(spec)
    emulator = emulator_of(spec, samples)
    pressure = samples.inputs[PRESSURE]
    upper = 0.5 * (pressure[:, 1:] + pressure[:, :-1]) < TOP_PRESSURE
    assert int(upper.sum()) >= len(upper)
    assert all(bool((samples.inputs[state] >= 0.0).all()) for state, _ in WATERS)
    raw = emulator.decode(emulator.network(emulator.encode(samples.inputs)), samples.inputs)
    assert bool(emulator.residuals(raw, samples.inputs)["upper_levels_water"].all())
    outputs = emulator(samples.inputs)
    assert not emulator.residuals(outputs, samples.inputs)["upper_levels_water"].any()
    export(emulator, tmp_path / "closed.emg", samples=samples.inputs, name="closed")
    model = emagram.open(tmp_path / "closed.emg")
    n = len(upper)
    native = {name: np.full(value.shape, np.nan) for name, value in outputs.items()}
    columns = model.columns(n)
    bind(columns, {name: value.numpy() for name, value in samples.inputs.items()} | native)
    model.step(columns, n, spec.time_step)
    assert not columns.budget("upper_levels_water", n)[1].any()
    for rate in (rate for _, rate in WATERS):
        assert not outputs[rate][upper].any()
        assert not native[rate][upper.numpy()].any()
        assert bool(outputs[rate][~upper].any())


def test_without_upper_levels_water_may_move_everywhere() -> None:
    laws = whole_spec(("positivity", "water_and_energy")).constraints
    assert all("top_pressure" not in law.to_manifest() for law in laws)
    laws = whole_spec().constraints
    assert [law.to_manifest().get("top_pressure") for law in laws if law.name in ("positivity", "column")] == [1e4, 1e4]


def study(constraints: tuple[str, ...], extra: tuple[str, ...] = ()) -> ClimsimStudyConfig:
    part = PartConfig("0001-02-01", "0001-02-02")
    return ClimsimStudyConfig(
        name="constrained",
        records=RecordsConfig(Path("records"), part, part, part, grid=Path("grid.nc")),
        task="climsim",
        variables="v2",
        extra_outputs=extra,
        constraints=constraints,
    )


def test_a_study_builds_its_spec_with_constraints() -> None:
    config = study(TYPES, ("cam_out_FSNT", "cam_out_FLUT"))
    assert config.build_spec(toy_grid()) == whole_spec()
    assert study(()).build_spec(toy_grid()) == climsim_spec("v2", n_level=N_LEVEL)


def test_a_study_refuses_constraints_before_anything_is_read() -> None:
    with pytest.raises(EmagramError, match="nearest 'shortwave'"):
        study(("short_wave",))
    with pytest.raises(EmagramError, match="which 'extra_outputs' adds"):
        study(("water_and_energy",))


@torch.no_grad()
def test_residual_levels_close_in_place_of_the_projection() -> None:
    names = tuple("residual_levels" if name == "water_and_energy" else name for name in reversed(TYPES))
    spec = whole_spec(names)
    assert [c.to_manifest()["type"] for c in spec.constraints] == [*TYPES[:-1], "residual_levels"]
    assert spec.inputs == whole_spec().inputs
    samples = whole_samples(spec)
    emulator = emulator_of(spec, samples)
    residuals = emulator.residuals(emulator(samples.inputs), samples.inputs)
    assert float(residuals["column_water"].abs().max()) <= WATER_CLOSED
    assert float(residuals["column_energy"].abs().max()) <= ENERGY_CLOSED
    with pytest.raises(EmagramError, match="expected one of water_and_energy and residual_levels, got both"):
        whole_spec((*TYPES, "residual_levels"))


@torch.no_grad()
def test_phase_stratosphere_and_accounts_come_besides() -> None:
    """In the order of the sequence, and every budget of the others stays closed."""
    names = ("accounts", "cloud_phase", "stratospheric_water", *TYPES)
    spec = whole_spec(names)
    at = TYPES.index("positivity")
    order = [*TYPES[:at], "stratospheric_water", *TYPES[at:], "cloud_phase", "accounts"]
    assert [constraint.to_manifest()["type"] for constraint in spec.constraints] == order
    samples = whole_samples(spec)
    emulator = emulator_of(spec, samples)
    raw = emulator.decode(emulator.network(emulator.encode(samples.inputs)), samples.inputs)
    ledger = close(spec.constraints, {**samples.inputs, **raw})
    unmet = {name for name, entry in ledger.entries.items() if bool(entry.unmet.any())}
    assert unmet == set()
    assert float(ledger.entries["stratospheric_water"].residuals.before.max()) > 1e-10
    assert float(ledger.entries["stratospheric_water"].residuals.returned.max()) <= WATER_CLOSED
    assert float(ledger.entries["cloud_phase"].residuals.before.max()) > 1e-9
    assert float(ledger.entries["column_energy"].residuals.returned.abs().max()) <= ENERGY_CLOSED
    assert float(ledger.entries["column_water"].residuals.returned.abs().max()) <= WATER_CLOSED
    assert float(ledger.entries["positivity"].residuals.returned.max()) == 0.0
    assert not ledger.entries["upper_levels_water"].residuals.returned.abs().max() > WATER_CLOSED
    assert spec.time_step is not None
    fields = {**samples.inputs, **ledger.fields}
    measured = column_budgets(ColumnState(fields, samples.inputs[PRESSURE], spec.constants, spec.time_step))
    assert float(measured["D_cloud_phase"].max()) <= 1e-10
    assert float(ledger.entries["accounts_eastward_momentum"].residuals.returned.abs().max()) > 1e-6


def test_accounts_take_what_there_is() -> None:
    """Winds only with both rates among the outputs, stress only where the emulator reads it, clouds as they are."""
    (law,) = whole_spec(("accounts",)).constraints
    assert isinstance(law, Accounts)
    assert (len(law.water), len(law.winds), len(law.stress)) == (3, 2, 2)
    unstressed = climsim_spec("v2", n_level=N_LEVEL)
    unstressed = replace(unstressed, inputs=tuple(i for i in unstressed.inputs if "stress" not in i), features=())
    (law,) = climsim_constraints(unstressed, ("accounts",))
    assert isinstance(law, Accounts)
    assert (len(law.winds), len(law.stress)) == (2, 0)
    (law,) = climsim_constraints(climsim_spec("v1", n_level=N_LEVEL), ("accounts",))
    assert isinstance(law, Accounts)
    assert (law.water, law.winds) == ((WATERS[0][1],), ())
    (law,) = climsim_constraints(climsim_spec("v5", n_level=N_LEVEL), ("accounts",))
    assert isinstance(law, Accounts)
    assert law.water[1:] == (find("ptend_qn", "climsim").name,)
