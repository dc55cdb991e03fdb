"""Bindings, policies and constraints of a call: what befalls columns, and what the host's arrays hold after."""

from pathlib import Path

import numpy as np
import pytest

import emagram
from emagram.fortran_bridge.errors import BridgeError
from emagram.fortran_bridge.model import Model
from stepping import FLOAT64_RESIDUAL, TINY, bind, outputs_for, run, same_bits
from tiny_model import INPUTS, N_LEVEL, TIME_STEP, TinyModel, tiny_columns


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return emagram.open(tiny_model)


def loosely(tiny_model: Path, **entries: object) -> dict:
    """Manifest entries of a changed model, whose self-test may then give anything finite."""
    names = [field.name for field in emagram.open(tiny_model).outputs]
    return {"selftest": {"columns": 5, "tolerance": dict.fromkeys(names, 1e36)}} | entries


def test_bindings_end_with_the_step_unless_persistent(model: Model) -> None:
    inputs, outputs, columns = tiny_columns(3), outputs_for(model, 3), model.columns(3)
    bind(columns, inputs | outputs)
    model.step(columns, 3, TIME_STEP)
    with pytest.raises(BridgeError, match="'air_pressure_at_interface' was not bound before the step"):
        model.step(columns, 3, TIME_STEP)
    for name, array in (inputs | outputs).items():
        columns.bind(name, array, "column level" if array.ndim > 1 else "column", persistent=True)
    model.step(columns, 3, TIME_STEP)
    first = {name: array.copy() for name, array in outputs.items()}
    outputs["heating"][:] = np.nan
    model.step(columns, 3, TIME_STEP)
    assert same_bits(first, outputs)


def test_fewer_columns_than_bound_leaves_the_rest_alone(model: Model) -> None:
    inputs, outputs, columns = tiny_columns(10), outputs_for(model, 10), model.columns(10)
    bind(columns, inputs | outputs)
    model.step(columns, 7, TIME_STEP)
    assert np.isfinite(outputs["heating"][:7]).all()
    assert np.isnan(outputs["heating"][7:]).all()


def test_no_columns_is_no_error(model: Model) -> None:
    outputs = run(model, {name: array[:0] for name, array in tiny_columns(3).items()})
    assert outputs["heating"].shape == (0, N_LEVEL)


def test_deferred_constraints_close_what_the_coupler_merged(tiny_model: Path) -> None:
    model = emagram.open(tiny_model, defer_constraints=True)
    inputs, outputs, columns = tiny_columns(40, seed=9), outputs_for(model, 40), model.columns(40)
    bind(columns, inputs | outputs)
    model.step(columns, 40, TIME_STEP)
    assert np.abs(TINY.residual(inputs, outputs)).max() > 1.0
    outputs["heating"] *= 0.5  # half the tendency is the host's own, which is nought here
    merged = outputs["heating"].copy()
    model.constrain(columns, 40, TIME_STEP)
    assert np.abs(TINY.residual(inputs, outputs)).max() <= FLOAT64_RESIDUAL
    change = outputs["heating"] - merged
    np.testing.assert_allclose(change, np.broadcast_to(change[:, :1], change.shape), atol=1e-16)


def test_a_masked_column_does_not_stop_the_constraints_of_the_others(tiny_model: Path) -> None:
    model = emagram.open(tiny_model, policy="mask", defer_constraints=True)
    inputs, outputs, columns = tiny_columns(9), outputs_for(model, 9), model.columns(9)
    inputs["air_temperature"][4, 2] = np.nan
    bind(columns, inputs | outputs)
    model.step(columns, 9, TIME_STEP)
    for array in outputs.values():
        array[4] = 0.5  # the host's own physics
    model.constrain(columns, 9, TIME_STEP)
    residual = np.abs(TINY.residual(inputs, outputs))
    assert np.delete(residual, 4).max() <= FLOAT64_RESIDUAL
    assert (outputs["heating"][4] == 0.5).all()
    assert np.isnan(columns.budget("column", 9)[1][4])
    assert columns.status(9)[4] == 16  # of the step


def test_constraints_refuse_layers_without_mass(tiny_model: Path) -> None:
    model = emagram.open(tiny_model, defer_constraints=True)
    inputs, outputs, columns = tiny_columns(3), outputs_for(model, 3), model.columns(3)
    bind(columns, inputs | outputs)
    model.step(columns, 3, TIME_STEP)
    before = {name: array.copy() for name, array in outputs.items()}
    inputs["air_pressure_at_interface"][1] = 5e4
    with pytest.raises(BridgeError, match=r"constrain: 1 of 3 columns rejected.*does not increase"):
        model.constrain(columns, 3, TIME_STEP)
    assert same_bits(before, outputs)


def test_an_output_beyond_real32_is_rejected(tiny_model: Path, tmp_path: Path) -> None:
    """Finite in the model, infinite in the host's kind: the host must not get it."""
    tiny = TinyModel()
    tiny.out_mean[N_LEVEL] = 1e39
    path = tiny.write(tmp_path / "large.emg", manifest=loosely(tiny_model))
    model = emagram.open(path, policy="mask", defer_constraints=True)
    inputs = {name: array.astype(np.float32) for name, array in tiny_columns(4).items()}
    outputs, columns = outputs_for(model, 4, np.float32), model.columns(4)
    bind(columns, inputs | outputs)
    model.step(columns, 4, TIME_STEP)
    assert (columns.status(4) == 19).all()
    assert np.isnan(outputs["toa_outgoing_flux"]).all()


def bad_columns() -> dict[str, tuple]:
    return {
        "NaN": ("air_temperature", (4, 2), np.nan, 16, "'air_temperature' at level 2 is not finite"),
        "fill value": ("specific_humidity", (4, 7), 1e30, 17, "'specific_humidity' at level 7 is 1e.30 kg kg-1"),
        "other unit": ("air_temperature", (4, 0), -40.0, 17, "outside its valid range 100 to 400"),
        "reversed": ("air_pressure_at_interface", (4, 3), 5.0, 18, "does not increase from level 2 to 3"),
    }  # fmt: skip


@pytest.mark.parametrize("case", bad_columns())
def test_policy_error_names_the_column_and_writes_nothing(model: Model, case: str) -> None:
    name, place, value, _, message = bad_columns()[case]
    inputs, outputs = tiny_columns(9), outputs_for(model, 9)
    inputs[name][place] = value
    columns = model.columns(9, identity=range(1000, 1009))
    bind(columns, inputs | outputs)
    with pytest.raises(BridgeError, match=f"column 1004: .*{message}") as caught:
        model.step(columns, 9, TIME_STEP)
    assert caught.value.code == 10
    assert all(np.isnan(array).all() for array in outputs.values())


@pytest.mark.parametrize("case", bad_columns())
def test_policy_mask_keeps_the_hosts_values_there(tiny_model: Path, case: str) -> None:
    name, place, value, reason, _ = bad_columns()[case]
    model = emagram.open(tiny_model, policy="mask")
    inputs = tiny_columns(9)
    good = run(model, inputs)
    inputs[name][place] = value
    outputs, columns = outputs_for(model, 9), model.columns(9)
    bind(columns, inputs | outputs)
    model.step(columns, 9, TIME_STEP)
    status = columns.status(9)
    assert status[4] == reason
    assert (np.delete(status, 4) < 16).all()
    for key, array in outputs.items():
        assert np.isnan(array[4]).all()
        assert np.delete(array, 4, axis=0).tobytes() == np.delete(good[key], 4, axis=0).tobytes()
    assert np.isnan(columns.budget("column", 9)[1][4])


def test_extrapolation_is_noted_and_clip_clips(tiny_model: Path) -> None:
    inputs = tiny_columns(6, seed=10)
    inputs["surface_temperature"][:] = 290.0
    inputs["surface_temperature"][2] = 399.0
    inputs["surface_temperature"][3] = 151.0
    inputs["toa_incoming_shortwave_flux"][4] = 1450.0  # a flux of the budget: clipped for the network, not for the law
    results = {}
    for policy in ("mask", "clip"):
        model = emagram.open(tiny_model, policy=policy)
        columns, outputs = model.columns(6), outputs_for(model, 6)
        bind(columns, inputs | outputs)
        model.step(columns, 6, TIME_STEP)
        results[policy] = outputs
        assert (columns.status(6)[2:5] == {"mask": 1, "clip": 2}[policy]).all()
    clipped = dict(
        inputs, surface_temperature=np.clip(inputs["surface_temperature"], TINY.minimum[25], TINY.maximum[25])
    )
    assert [name for name, *_ in INPUTS].index("surface_temperature") == 3
    expected = TINY.predict(clipped)["toa_outgoing_flux"]
    np.testing.assert_allclose(results["clip"]["toa_outgoing_flux"][2:4], expected[2:4], rtol=1e-4)
    for outputs in results.values():
        assert np.abs(TINY.residual(inputs, outputs)).max() <= FLOAT64_RESIDUAL
    assert np.abs(results["mask"]["toa_outgoing_flux"][2:4] - expected[2:4]).min() > 1.0


def test_begin_computes_and_finish_writes(model: Model) -> None:
    inputs, outputs, columns = tiny_columns(5), outputs_for(model, 5), model.columns(5)
    bind(columns, inputs | outputs)
    model.begin(columns, 5, TIME_STEP)
    assert np.isnan(outputs["heating"]).all()
    with pytest.raises(BridgeError, match="bound between begin and finish"):
        columns.bind("heating", outputs["heating"], "column level")
    with pytest.raises(BridgeError, match="has not been finished"):
        model.step(columns, 5, TIME_STEP)
    columns.finish()
    assert same_bits(outputs, run(model, inputs))
    with pytest.raises(BridgeError, match="nothing was begun"):
        columns.finish()


def test_a_field_whose_binding_fails_is_missing(model: Model) -> None:
    inputs, outputs, columns = tiny_columns(5), outputs_for(model, 5), model.columns(5)
    for name, array in (inputs | outputs).items():
        columns.bind(name, array, "column level" if array.ndim > 1 else "column", persistent=True)
    with pytest.raises(BridgeError, match="extent 4"):
        columns.bind("heating", outputs["heating"][:4], "column level")
    with pytest.raises(BridgeError, match="'heating' was not bound"):
        model.step(columns, 5, TIME_STEP)


def test_a_failed_step_ends_its_bindings_and_has_no_status(model: Model) -> None:
    inputs, outputs, columns = tiny_columns(2), outputs_for(model, 2), model.columns(2)
    bind(columns, inputs | outputs)
    with pytest.raises(BridgeError, match="positive dt"):
        model.step(columns, 2, np.inf)
    with pytest.raises(BridgeError, match="the last step had 0 columns"):
        columns.status(2)
    with pytest.raises(BridgeError, match="was not bound"):
        model.step(columns, 2, TIME_STEP)


def test_timers_count(model: Model) -> None:
    inputs, outputs, columns = tiny_columns(70), outputs_for(model, 70), model.columns(70)
    for _ in range(3):
        bind(columns, inputs | outputs)
        model.step(columns, 70, TIME_STEP)
    timers = columns.timers()
    assert (timers["n_call"], timers["n_column"], timers["n_rejected"]) == (3, 210, 0)
    assert min(timers[f"{stage}_s"] for stage in ("gather", "network", "constraints", "scatter")) > 0.0


def test_each_budget_is_that_of_its_own_law(tiny_model: Path, tmp_path: Path) -> None:
    (law,) = emagram.open(tiny_model).manifest["constraints"]
    other = law | {"name": "other", "fluxes": law["fluxes"][:1]}
    manifest = loosely(tiny_model, constraints=[law, other])
    model = emagram.open(TinyModel().write(tmp_path / "two laws.emg", manifest=manifest))
    inputs, outputs, columns = tiny_columns(7), outputs_for(model, 7), model.columns(7)
    bind(columns, inputs | outputs)
    model.step(columns, 7, TIME_STEP)
    absorbed = inputs["toa_incoming_shortwave_flux"] - outputs["surface_downwelling_shortwave_flux"]
    np.testing.assert_allclose(columns.budget("other", 7)[1], 0.0, atol=FLOAT64_RESIDUAL)  # applied last
    np.testing.assert_allclose(columns.budget("column", 7)[1], -absorbed, atol=FLOAT64_RESIDUAL)
    difference = columns.budget("other", 7)[0] - columns.budget("column", 7)[0]
    assert np.abs(difference).max() > 1.0


def test_an_output_in_a_unit_with_an_offset(tiny_model: Path, tmp_path: Path) -> None:
    entries = emagram.open(tiny_model).manifest["outputs"]
    renamed = [entry | ({"unit": "K"} if entry["name"] == "toa_outgoing_flux" else {}) for entry in entries]
    model = emagram.open(TinyModel().write(tmp_path / "kelvin.emg", manifest=loosely(tiny_model, outputs=renamed)))
    inputs, outputs, columns = tiny_columns(4), outputs_for(model, 4), model.columns(4)
    expected = run(model, inputs)["toa_outgoing_flux"]
    bind(columns, inputs | outputs)
    columns.bind("toa_outgoing_flux", outputs["toa_outgoing_flux"], "column", "degC")
    model.step(columns, 4, TIME_STEP)
    np.testing.assert_allclose(outputs["toa_outgoing_flux"], expected - 273.15, rtol=1e-14, atol=1e-12)
    np.testing.assert_allclose(columns.budget("column", 4)[1], 0.0, atol=FLOAT64_RESIDUAL)


def test_the_margin_is_a_share_of_the_widest_training_range_of_a_field(tiny_model: Path, tmp_path: Path) -> None:
    """Level 2 of the temperature: a column lies beyond its range by so much of the width of the widest level."""
    where = N_LEVEL + 1 + np.arange(N_LEVEL)  # the temperatures among the inputs
    tiny = TinyModel()
    tiny.minimum[where], tiny.maximum[where] = 0.0, 1000.0
    tiny.minimum[where[2]], tiny.maximum[where[2]] = 240.0, 250.0
    tiny.minimum[where[5]], tiny.maximum[where[5]] = 200.0, 300.0  # the widest but one
    tiny.minimum[[i for i in range(len(tiny.minimum)) if i not in where]] = -1e6
    tiny.maximum[[i for i in range(len(tiny.maximum)) if i not in where]] = 1e6
    narrow = [k for k in range(N_LEVEL) if k not in (2, 5)]
    tiny.minimum[where[narrow]], tiny.maximum[where[narrow]] = 250.0, 250.0
    path = tiny.write(tmp_path / "margin.emg", manifest=loosely(tiny_model))
    inputs = tiny_columns(4)
    inputs["air_temperature"][:] = 250.0
    inputs["air_temperature"][:, 2] = [250.5, 259.0, 270.5, 230.5]  # beyond by 0.5, 9, 20.5 and 9.5 of 100
    for margin, expected in ((0.0, [1, 1, 1, 1]), (0.1, [0, 0, 1, 0]), (0.2, [0, 0, 1, 0]), (0.21, [0, 0, 0, 0])):
        model = emagram.open(path, extrapolation_margin=margin)
        outputs, columns = outputs_for(model, 4), model.columns(4)
        bind(columns, inputs | outputs)
        model.step(columns, 4, TIME_STEP)
        assert columns.status(4).tolist() == expected


def test_a_margin_that_is_no_number_is_refused(tiny_model: Path) -> None:
    for margin in (-0.1, float("nan")):
        with pytest.raises(BridgeError, match="expected an extrapolation_margin of 0 or more"):
            emagram.open(tiny_model, extrapolation_margin=margin)
