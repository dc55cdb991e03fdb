"""One step of a Python host: the model's outputs, blended with the host's own, fallen back to, and closed."""

from pathlib import Path

import numpy as np
import pytest

from emagram.fortran_bridge.errors import BridgeError
from emagram.fortran_bridge.model import Model
from emagram.fortran_bridge.model import open as open_model
from emagram.hybrid.hosts.merging import check_dimensions, merge_columns
from emagram.physics.errors import EmagramError
from linear_model import (
    HEATING,
    OUTGOING,
    UPWELLING,
    close,
    linear_inputs,
    linear_outputs,
    residual,
    write_linear_model,
)

N = 12
HEATING_ERROR = 1e-11  # [K s-1] float32 roundings of 60 K over 10 days, and of the fluxes that it is closed against
FLUX_ERROR = 1e-4  # [W m-2] of 300


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = write_linear_model(tmp_path_factory.mktemp("linear") / "linear.emg", time_step=1800.0)
    return open_model(path, policy="mask", defer_constraints=True)


def as_host(values: dict, n_batch: int = 1, dtype: type = float) -> dict:
    """(column, size) as (batch, size, column), which is how hosts with levels first pass them."""
    return {
        name: np.stack([part.T for part in np.split(value.astype(dtype), n_batch)]) for name, value in values.items()
    }


def as_columns(values: dict) -> dict:
    return {name: np.concatenate([part.T for part in value]) for name, value in values.items()}


def own_physics(inputs: dict) -> dict:
    """What some host would have: not closed."""
    return {HEATING: -1e-5 * np.ones_like(inputs["air_temperature"]), OUTGOING: 200.0 + 0.1 * inputs[UPWELLING]}


def assert_near(found: dict, expected: dict) -> None:
    np.testing.assert_allclose(found[HEATING], expected[HEATING], rtol=0.0, atol=HEATING_ERROR)
    np.testing.assert_allclose(found[OUTGOING], expected[OUTGOING], rtol=0.0, atol=FLUX_ERROR)


@pytest.mark.parametrize("n_batch", [1, 3])
def test_alone_it_is_the_closed_model(model: Model, n_batch: int) -> None:
    inputs = linear_inputs(N)
    merged = merge_columns(model, as_host(inputs, n_batch), None, share=1.0, dt=1800.0)
    found = as_columns(merged.outputs)
    assert_near(found, linear_outputs(inputs))
    assert merged.status.shape == (n_batch, N // n_batch)
    assert np.abs(residual(inputs, found)).max() < 1e-10
    before = np.concatenate(list(merged.before["longwave"]))
    np.testing.assert_allclose(before, residual(inputs, linear_outputs(inputs, raw=True)), rtol=0.0, atol=1e-3)
    assert np.abs(before).max() > 10.0


def test_float32_fields_and_reversed_strides_are_read_where_they_lie(model: Model) -> None:
    inputs = as_host(linear_inputs(N), dtype=np.float32)
    plain = merge_columns(model, inputs, None, share=1.0, dt=1800.0)
    upwards = {name: np.ascontiguousarray(value[:, ::-1])[:, ::-1] for name, value in inputs.items() if value.ndim == 3}
    again = merge_columns(model, inputs | upwards, None, share=1.0, dt=1800.0)
    for name, value in plain.outputs.items():
        assert np.array_equal(value, again.outputs[name])
    assert_near(as_columns(plain.outputs), linear_outputs(as_columns({n: v.astype(float) for n, v in inputs.items()})))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_blend_is_of_tendencies_and_fluxes_and_closes(model: Model, share: float) -> None:
    inputs = linear_inputs(N)
    host = own_physics(inputs)
    merged = merge_columns(model, as_host(inputs), as_host(host), share=share, dt=1800.0)
    raw = linear_outputs(inputs, raw=True)
    expected = close(inputs, {name: share * raw[name] + (1.0 - share) * host[name] for name in raw})
    found = as_columns(merged.outputs)
    assert_near(found, expected)
    assert np.abs(residual(inputs, found)).max() < 1e-10


@pytest.mark.parametrize("fault", ["nan", "hot"])
def test_a_rejected_column_falls_back_and_the_others_keep_their_bits(model: Model, fault: str) -> None:
    inputs = linear_inputs(N)
    host = own_physics(inputs)
    sound = merge_columns(model, as_host(inputs), as_host(host), share=0.5, dt=1800.0)
    inputs["air_temperature"][4, 2] = np.nan if fault == "nan" else 900.0
    merged = merge_columns(model, as_host(inputs), as_host(host), share=0.5, dt=1800.0)
    found, expected = as_columns(merged.outputs), as_columns(sound.outputs)
    assert list(np.flatnonzero(merged.status[0] >= 16)) == [4]
    others = np.arange(N) != 4
    for name in found:
        assert np.array_equal(found[name][others], expected[name][others])
    closed = host if fault == "nan" else close(inputs, host)  # a column that is not finite stays as the host has it
    for name in found:
        np.testing.assert_allclose(found[name][4], closed[name][4], rtol=1e-12)


def test_a_rejected_column_of_a_host_without_own_physics_gets_zeros(model: Model) -> None:
    inputs = linear_inputs(N)
    inputs["air_temperature"][7, 0] = 20.0
    found = as_columns(merge_columns(model, as_host(inputs), None, share=1.0, dt=1800.0).outputs)
    assert not found[HEATING][7].any()
    assert found[OUTGOING][7] == 0.0
    assert found[HEATING][:7].all()


def test_bits_do_not_depend_on_the_batches(model: Model) -> None:
    inputs = linear_inputs(N)
    host = own_physics(inputs)
    whole = merge_columns(model, as_host(inputs), as_host(host), share=0.5, dt=1800.0)
    for n_batch in (2, 3, N):
        parts = merge_columns(model, as_host(inputs, n_batch), as_host(host, n_batch), share=0.5, dt=1800.0)
        for name, value in as_columns(whole.outputs).items():
            assert np.array_equal(value, as_columns(parts.outputs)[name])


def test_the_hosts_arrays_are_left_alone(model: Model) -> None:
    inputs = as_host(linear_inputs(N))
    host = as_host(own_physics(linear_inputs(N)))
    kept = {name: value.copy() for name, value in (inputs | host).items()}
    merge_columns(model, inputs, host, share=0.5, dt=1800.0)
    for name, value in (inputs | host).items():
        assert np.array_equal(value, kept[name])


def test_another_time_step_is_refused(model: Model) -> None:
    with pytest.raises(BridgeError, match=r"1800.*1200"):
        merge_columns(model, as_host(linear_inputs(N)), None, share=1.0, dt=1200.0)


def test_a_field_beyond_the_variables_table_is_refused(tiny_model: Path) -> None:
    with pytest.raises(EmagramError, match="'heating': expected a known name"):
        check_dimensions(open_model(tiny_model))
