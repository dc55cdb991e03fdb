"""The native runtime from Python, against the float64 mathematics of the tiny model."""

import threading
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import emagram
from emagram.fortran_bridge.errors import BridgeError
from emagram.fortran_bridge.model import Model
from stepping import FLOAT32_RESIDUAL, FLOAT64_RESIDUAL, TINY, bind, outputs_for, run, same_bits
from tiny_model import INPUTS, TIME_STEP, tiny_columns


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return emagram.open(tiny_model)


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
