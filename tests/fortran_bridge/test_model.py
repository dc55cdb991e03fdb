"""The native runtime from Python, against the float64 mathematics of the tiny model."""

import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import emagram
from emagram.fortran_bridge.errors import BridgeError
from emagram.fortran_bridge.model import Columns, Model
from tiny_model import INPUTS, N_LEVEL, TIME_STEP, TinyModel, tiny_columns

TINY = TinyModel()
FLOAT64_RESIDUAL = 1e-10  # W m-2, ARCHITECTURE: real64 outputs
FLOAT32_RESIDUAL = 1e-3  # W m-2, rounding of real32 outputs alone makes about 4e-5


def outputs_for(model: Model, n: int, dtype: type = np.float64) -> dict[str, np.ndarray]:
    """Output arrays full of NaN, so that a value that is never written shows."""
    return {f.name: np.full((n, f.size) if f.dimension == "layer" else n, np.nan, dtype) for f in model.outputs}


def bind(columns: Columns, arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        columns.bind(name, array, "column level" if array.ndim > 1 else "column")


def run(model: Model, inputs: dict[str, np.ndarray], dtype: type = np.float64) -> dict[str, np.ndarray]:
    n = len(inputs["surface_temperature"])
    columns, outputs = model.columns(n), outputs_for(model, n, dtype)
    bind(columns, inputs | outputs)
    model.step(columns, n, TIME_STEP)
    return outputs


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return emagram.open(tiny_model)


def same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all(a[name].tobytes() == b[name].tobytes() for name in a)


def test_error_is_at_most_twice_that_of_float32_torch(model: Model) -> None:
    torch = pytest.importorskip("torch")
    inputs = tiny_columns(300, seed=3)
    truth, native = TINY.predict(inputs), run(model, inputs)
    features = torch.tensor((TINY._row(inputs) - TINY.mean) / TINY.scale, dtype=torch.float32)
    w = {name: torch.tensor(value) for name, value in TINY.weights.items()}
    hidden = torch.nn.functional.leaky_relu(features @ w["network.0.weight"].T + w["network.0.bias"], 0.15)
    row = (hidden @ w["network.1.weight"].T + w["network.1.bias"]).double().numpy()
    torch32 = TINY.closed(row * TINY.out_scale + TINY.out_mean, inputs)
    for name, expected in truth.items():
        rounding = np.finfo(np.float32).eps * np.abs(expected).max()
        torch_error = np.abs(torch32[name] - expected).max()
        assert np.abs(native[name] - expected).max() <= 2.0 * torch_error + rounding, name


@given(n=st.integers(1, 200), cuts=st.lists(st.integers(1, 199), max_size=3), seed=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_bits_do_not_depend_on_the_split(tiny_model: Path, n: int, cuts: list[int], seed: int) -> None:
    model, inputs = emagram.open(tiny_model), tiny_columns(n, seed)
    whole = run(model, inputs)
    edges = [0, *sorted({cut for cut in cuts if cut < n}), n]
    parts = [run(model, {k: v[a:b] for k, v in inputs.items()}) for a, b in itertools.pairwise(edges)]
    assert same_bits(whole, {name: np.concatenate([part[name] for part in parts]) for name in whole})


def test_columns_close_in_real64_and_real32(model: Model) -> None:
    inputs = tiny_columns(500, seed=4)
    assert np.abs(TINY.residual(inputs, run(model, inputs))).max() <= FLOAT64_RESIDUAL
    narrow = {name: array.astype(np.float32) for name, array in inputs.items()}
    residual = np.abs(TINY.residual(narrow, run(model, narrow, np.float32))).max()
    assert 0.0 < residual <= FLOAT32_RESIDUAL


def test_budget_reports_what_the_host_finds(model: Model) -> None:
    inputs = {name: array.astype(np.float32) for name, array in tiny_columns(70, seed=5).items()}
    columns, outputs = model.columns(70), outputs_for(model, 70, np.float32)
    bind(columns, inputs | outputs)
    model.step(columns, 70, TIME_STEP)
    before, after = columns.budget("column", 70)
    np.testing.assert_allclose(after, TINY.residual(inputs, outputs), atol=1e-12)
    assert np.abs(before).max() > 1.0  # the network alone does not close


def test_night_is_exactly_dark(model: Model) -> None:
    inputs = tiny_columns(100)
    night = inputs["toa_incoming_shortwave_flux"] == 0.0
    assert night.any()
    assert (run(model, inputs)["surface_downwelling_shortwave_flux"][night] == 0.0).all()


def with_halo(a: np.ndarray) -> np.ndarray:
    """The interior (6, 4, n) of an (i, j, k) array with a halo of NaN."""
    full = np.full((8, 6, a.shape[1]), np.nan, a.dtype)
    full[1:-1, 1:-1] = a.reshape(4, 6, -1).transpose(1, 0, 2)
    return full[1:-1, 1:-1]


# How a host may hold (column, n) arrays: from the plain array to a view of another layout, and the roles of its axes.
LAYOUTS = {
    "column fastest": (np.asfortranarray, "column level"),
    "(level, column)": (lambda a: np.ascontiguousarray(a.T), "level column"),
    "reversed levels": (lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1], "column level"),
    "every second": (lambda a: np.repeat(a, 2, axis=0)[::2], "column level"),
    "(i, j, k) with halo": (with_halo, "column_1 column_2 level"),
    "(k, j, i)": (lambda a: np.ascontiguousarray(with_halo(a).transpose(2, 1, 0)), "level column_2 column_1"),
    "(k, j, i) upwards, j reversed": (
        lambda a: np.ascontiguousarray(with_halo(a).transpose(2, 1, 0)[::-1, ::-1])[::-1, ::-1],
        "level column_2 column_1",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_layout_gives_the_same_bits(model: Model, layout: str, dtype: type) -> None:
    arrange, roles = LAYOUTS[layout]
    words = roles.split()
    inputs = {name: array.astype(dtype) for name, array in tiny_columns(24, seed=6).items()}
    plain = run(model, inputs, dtype)
    columns = model.columns(6, 4) if "column_2" in words else model.columns(24)
    views = {}
    for name, array in (inputs | outputs_for(model, 24, dtype)).items():
        view = arrange(array.reshape(24, -1))
        views[name] = view if array.ndim > 1 else np.moveaxis(view, words.index("level"), 0)[0]
        columns.bind(name, views[name], words if array.ndim > 1 else [w for w in words if w != "level"])
    model.step(columns, 24, TIME_STEP)
    for name, expected in plain.items():
        axes = [w for w in words if w != "level" or expected.ndim > 1]
        order = [axes.index(w) for w in ("column_2", "column_1", "column", "level") if w in axes]
        got = views[name].transpose(order).reshape(expected.shape)
        assert got.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize(
    ("name", "unit", "factor", "offset"),
    [
        ("specific_humidity", "g kg-1", 1000.0, 0.0),
        ("air_temperature", "degC", 1.0, -273.15),
        ("air_pressure_at_interface", "hPa", 0.01, 0.0),
        ("heating", "K day-1", 86400.0, 0.0),
    ],
)
def test_units_convert_in_the_gather(model: Model, name: str, unit: str, factor: float, offset: float) -> None:
    inputs = tiny_columns(20, seed=8)
    plain = run(model, inputs)
    columns, outputs = model.columns(20), outputs_for(model, 20)
    bind(columns, inputs | outputs)
    host = inputs[name] * factor + offset if name in inputs else outputs[name]
    before = host.copy()
    columns.bind(name, host, "column level", unit=unit)
    model.step(columns, 20, TIME_STEP)
    assert name not in inputs or np.array_equal(host, before)  # the state is the host's
    outputs = {key: array / factor if key == name else array for key, array in outputs.items()}
    for key, expected in plain.items():
        np.testing.assert_allclose(outputs[key], expected, rtol=2e-5, atol=1e-12, err_msg=key)


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


def test_threads_share_a_model(model: Model) -> None:
    inputs = [tiny_columns(50, seed=s) for s in range(4)]
    expected, got = [run(model, i) for i in inputs], [{} for _ in inputs]

    def work(i: int) -> None:
        for _ in range(20):
            got[i] = run(model, inputs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same_bits(a, b) for a, b in zip(expected, got, strict=True))


def dataset(n: int) -> xr.Dataset:
    columns, dims = tiny_columns(n), {"layer": ("column", "level"), "interface": ("column", "interface")}
    variables = {name: (dims.get(d, ("column",)), columns[name], {"units": u}) for name, u, d, *_ in INPUTS}
    return xr.Dataset(variables, coords={"site": ("column", np.arange(n))})


def test_predict_gives_a_cf_dataset(model: Model) -> None:
    data = dataset(5)
    data["specific_humidity"] = (data["specific_humidity"] * 1e3).assign_attrs(units="g kg-1")
    out = model.predict(data.transpose(..., "column"))
    expected = TINY.predict(tiny_columns(5))
    np.testing.assert_allclose(out["toa_outgoing_flux"], expected["toa_outgoing_flux"], rtol=1e-5)
    assert out["heating"].dims == ("column", "level")
    assert out["heating"].attrs["units"] == "K s-1"
    assert (out["site"] == np.arange(5)).all()
    assert out["emagram_status"].attrs["flag_meanings"].split()[0] == "ok"


def test_predict_refuses_datasets_in_one_sentence(model: Model) -> None:
    good = dataset(3)
    cases = {
        "has none of this name": good.drop_vars("air_temperature"),
        "expected 8 values along 'level', got 7": good.isel(level=slice(7)),
        "expected dimensions": good.assign(surface_temperature=good["air_temperature"]),
        "unit 'furlong' is not known": good.assign(
            air_temperature=good["air_temperature"].assign_attrs(units="furlong")
        ),
        "expected a unit like 'K', got 'Pa'": good.assign(
            air_temperature=good["air_temperature"].assign_attrs(units="Pa")
        ),
        "expected an attribute 'units'": good.assign(air_temperature=good["air_temperature"].drop_attrs()),
        "are the levels reversed": good.isel(interface=slice(None, None, -1)),
    }
    for message, data in cases.items():
        with pytest.raises(BridgeError, match=message):
            model.predict(data)


def test_budget_of_a_dataset_is_the_residual_of_what_it_holds(model: Model) -> None:
    data = dataset(6)
    closed = data.assign(model.predict(data))
    assert np.abs(model.budget(closed)["column"]).max() <= FLOAT64_RESIDUAL
    spoiled = closed.assign(heating=(closed["heating"] * 86400.0 + 1.0).assign_attrs(units="K day-1"))
    arrays = {name: spoiled[name].values.astype(float) for name in spoiled.data_vars}
    expected = TINY.residual(arrays, {"heating": arrays["heating"] / 86400.0})
    before = spoiled["heating"].values.copy()
    np.testing.assert_allclose(model.budget(spoiled)["column"], expected, rtol=1e-12)
    assert np.array_equal(spoiled["heating"].values, before)
    with pytest.raises(BridgeError, match="'heating': the dataset has none"):
        model.budget(data)


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
    loose = {"selftest": {"columns": 5, "tolerance": {f.name: 1e36 for f in emagram.open(tiny_model).outputs}}}
    path = tiny.write(tmp_path / "large.emg", manifest=loose)
    model = emagram.open(path, policy="mask", defer_constraints=True)
    inputs = {name: array.astype(np.float32) for name, array in tiny_columns(4).items()}
    outputs, columns = outputs_for(model, 4, np.float32), model.columns(4)
    bind(columns, inputs | outputs)
    model.step(columns, 4, TIME_STEP)
    assert (columns.status(4) == 19).all()
    assert np.isnan(outputs["toa_outgoing_flux"]).all()


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


KERNEL_CHECK = """
import itertools, sys
import emagram, numpy as np, tiny_model as t

for n_extra, hidden in ((0, 24), (37, 32), (38, 33), (101, 150)):
    tiny = t.TinyModel(n_extra=n_extra, hidden=hidden)
    model = emagram.open(tiny.write(f"{sys.argv[1]}/{n_extra}.emg"))
    inputs = tiny.extended(t.tiny_columns(131, seed=3))

    def run(rows):
        part = {name: np.ascontiguousarray(array[rows]) for name, array in inputs.items()}
        n = len(part["surface_temperature"])
        out = {f.name: np.full((n, f.size) if f.size > 1 else n, np.nan) for f in model.outputs}
        columns = model.columns(n)
        for name, array in (part | out).items():
            columns.bind(name, array, "column level" if array.ndim > 1 else "column")
        model.step(columns, n, 1200.0)
        return out

    whole, truth = run(slice(None)), tiny.predict(inputs)
    for name in whole:
        scale = np.abs(truth[name]).max()
        assert np.abs(whole[name] - truth[name]).max() <= 3e-6 * scale, (n_extra, name)
    for n in range(1, 131):
        edges = [0, *range(n, 131, n), 131]
        parts = [run(slice(a, b)) for a, b in itertools.pairwise(edges)][:3]
        for name in whole:
            got = np.concatenate([part[name] for part in parts])
            assert got.tobytes() == whole[name][: len(got)].tobytes(), (n_extra, n, name)
print("ok")
"""


@pytest.mark.parametrize("isa", ["avx512", "avx2", "baseline"])
def test_every_instruction_set_is_accurate_and_indifferent_to_the_split(isa: str, tmp_path: Path) -> None:
    """Networks of several panels and of sums longer than a block, all batch sizes."""
    environment = os.environ | {"EMAGRAM_ISA": isa, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", KERNEL_CHECK, tmp_path], env=environment, capture_output=True, text=True, check=False
    )
    if "EMAGRAM_ISA: expected one of" in done.stderr:
        pytest.skip(f"this processor has no {isa}")
    assert done.stdout == "ok\n", done.stderr
