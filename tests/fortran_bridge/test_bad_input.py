"""Whatever is wrong with a file, a handle or a field: a status and one sentence, never a crash."""

import ctypes
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emagram
from emagram.emulators.model_file import ModelFile, from_bytes, to_bytes
from emagram.fortran_bridge import _bridge
from emagram.fortran_bridge.errors import BridgeError
from tiny_model import TinyModel

FILE, FORMAT, VERSION, CHECKSUM, SELFTEST, UNSUPPORTED = 2, 3, 4, 5, 6, 11


def rewrite(content: bytes, **changes: dict) -> bytes:
    """The model with changed entries, its checksums right again."""
    model = from_bytes(content, name="tiny")
    manifest, plan = model.manifest | changes.get("manifest", {}), model.plan | changes.get("plan", {})
    weights, selftest = model.weights | changes.get("weights", {}), model.selftest | changes.get("selftest", {})
    return to_bytes(ModelFile(manifest, plan, weights, selftest))


def with_version(content: bytes, version: float) -> bytes:
    """The same archive with another format version in the manifest, its checksum right again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "manifest.json":
                data = json.dumps(json.loads(data) | {"format_version": version}).encode()
                new.comment = b"emagram 1 sha256:" + hashlib.sha256(data).hexdigest().encode()
            new.writestr(name, data)
    return out.getvalue()


def broken_files(content: bytes) -> dict[str, tuple[bytes, int, str]]:
    model = from_bytes(content, name="tiny")
    inputs = model.manifest["inputs"]
    first = model.plan["operations"][0]
    at = content.index(b"network.0.weight") + 2000
    tampered = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    compressed = io.BytesIO()
    with zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}" * 100)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("manifest.json", b"{}")
    stored = model.selftest["output.heating"]

    def changed(key: str, value: object) -> bytes:
        return rewrite(content, manifest={key: value})

    def first_input(**changes: object) -> bytes:
        return changed("inputs", [inputs[0] | changes, *inputs[1:]])

    return {
        "empty": (b"", FORMAT, "not a zip archive"),
        "text": (b"hello " * 40, FORMAT, "not a zip archive"),
        "truncated": (content[: len(content) // 2], FORMAT, "not a zip archive, or truncated"),
        "compressed": (compressed.getvalue(), FORMAT, "must be stored"),
        "another zip": (other.getvalue(), FORMAT, "not an Emagram model"),
        "newer": (with_version(content, 2), VERSION, "format version 2 is newer than this library reads"),
        "tampered": (tampered, CHECKSUM, "weights.safetensors does not match its SHA-256"),
        "self-test": (rewrite(content, selftest={"output.heating": stored + 1e-6}), SELFTEST, "output 'heating'"),
        "self-test NaN": (rewrite(content, selftest={"output.heating": stored * np.nan}), SELFTEST, "'heating'"),
        "stencil": (changed("stencil", [3, 3]), UNSUPPORTED, "stencil of 3x3"),
        "constraint": (changed("constraints", [{"type": "magic"}]), UNSUPPORTED, "constraint 'magic'"),
        "level order": (changed("vertical", {"n_level": 8, "order": "upwards"}), FORMAT, "level order"),
        "levels": (changed("vertical", {"n_level": 10**9, "order": "top_to_bottom"}), FORMAT, "n_level"),
        "twice": (changed("inputs", inputs + inputs[-1:]), FORMAT, "stands twice"),
        "key": (changed("inputs", [{"name": "x"}]), FORMAT, "a key is missing or has the wrong type"),
        "transform": (changed("features", [{"transform": "?", "inputs": [], "size": 1}]), UNSUPPORTED, "transform"),
        "operation": (
            rewrite(content, plan={"operations": [first | {"op": "conv"}]}),
            UNSUPPORTED,
            "operation 'conv' is not supported",
        ),
        "activation": (
            rewrite(content, plan={"operations": [first | {"activation": {"name": "mish"}}]}),
            UNSUPPORTED,
            "activation 'mish'",
        ),
        "unconnected": (rewrite(content, plan={"output": "nothing"}), FORMAT, "does not have the 10 values"),
        "shape": (
            rewrite(content, weights={"network.0.bias": np.zeros(3, np.float32)}),
            FORMAT,
            r"tensor 'network.0.bias': expected F32 \(24\), got F32 \(3\)",
        ),
        "broken version": (with_version(content, 1.9), FORMAT, "format_version: expected an integer"),
        "wrapping version": (with_version(content, 2**32 + 1), FORMAT, "format_version: expected an integer"),
        "half a level": (
            changed("vertical", {"n_level": 8.9, "order": "top_to_bottom"}),
            FORMAT,
            "n_level: expected an integer from 1 to 100000, got 8.9",
        ),
        "reversed range": (first_input(valid_range=[1.0, 0.0]), FORMAT, "valid_range is reversed"),
        "three ranges": (first_input(valid_range=[0.0, 1.0, 2.0]), FORMAT, "valid_range is not a pair"),
        "decreasing": (first_input(monotonic="decreasing"), FORMAT, "monotonic can only be"),
        "massless": (
            changed("inputs", [{k: v for k, v in entry.items() if k != "monotonic"} for entry in inputs]),
            FORMAT,
            "expected 'air_pressure_at_interface' to be monotonic",
        ),
        "no features": (changed("features", []), FORMAT, "no features"),
        "zero dt": (changed("time_step", 0.0), FORMAT, "time_step must be positive"),
        "constants": (
            changed("constants", model.manifest["constants"] | {"gravity": 0.0}),
            FORMAT,
            "'gravity' must be",
        ),
        "range tensors": (
            rewrite(content, weights={"inputs.minimum": model.weights["inputs.maximum"] + 1.0}),
            FORMAT,
            "not at most that of inputs.maximum",
        ),
        "no slope": (
            rewrite(content, plan={"operations": [first | {"activation": {"name": "leaky_relu"}}]}),
            FORMAT,
            "a key is missing",
        ),
        "shadow": (rewrite(content, plan={"operations": [first | {"output": "features"}]}), FORMAT, "two values"),
        "unknown flux": (
            changed("constraints", [model.manifest["constraints"][0] | {"heating": "nothing"}]),
            FORMAT,
            "expected 'nothing' to be an output per layer, got none",
        ),
        "dtype": (
            rewrite(content, weights={"network.0.bias": np.zeros(24)}),
            FORMAT,
            r"expected F32 \(24\), got F64 \(24\)",
        ),
    }


def test_broken_files_are_one_sentence(tiny_model: Path, tmp_path: Path) -> None:
    for case, (content, code, message) in broken_files(tiny_model.read_bytes()).items():
        path = tmp_path / f"{case} é.emg"
        path.write_bytes(content)
        with pytest.raises(BridgeError, match=message) as caught:
            emagram.open(path)
        assert caught.value.code == code, case
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match=r"nothing\.emg' cannot be read: No such file") as caught:
        emagram.open(tmp_path / "nothing.emg")
    assert caught.value.code == FILE


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damage_anywhere_is_an_error_or_changes_nothing(tiny_model: Path, data: st.DataObject) -> None:
    """Bytes that no checksum covers are padding and zip dates; a damaged file either fails or is the same model."""
    content = bytearray(tiny_model.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    try:
        opened = _bridge.Model(bytes(content), 0, False, False)
    except BridgeError:
        return
    assert opened.describe()["sha256"] == emagram.open(tiny_model).sha256


class Axis(ctypes.Structure):
    _fields_ = [("role", ctypes.c_int32), ("reserved", ctypes.c_int32), ("extent", ctypes.c_int64),
                ("stride", ctypes.c_int64)]  # fmt: skip


class FieldDescriptor(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("data", ctypes.c_void_p), ("dtype", ctypes.c_int32),
                ("device", ctypes.c_int32), ("n_axis", ctypes.c_int32), ("flags", ctypes.c_uint32),
                ("unit", ctypes.c_char_p), ("axis", Axis * 4)]  # fmt: skip


@pytest.fixture(scope="module")
def library(emagram_build: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(emagram_build / "lib" / "libemagram.so"))
    library.emagram_last_error.restype = ctypes.c_char_p
    return library


def fails(library: ctypes.CDLL, code: int, expected: int, message: str) -> None:
    text = library.emagram_last_error().decode()
    assert (code, message in text) == (expected, True), (code, text)


def test_handles_that_are_null_closed_or_strange(library: ctypes.CDLL, tiny_model: Path) -> None:
    model, columns = ctypes.c_void_p(), ctypes.c_void_p()
    path = str(tiny_model).encode()
    fails(library, library.emagram_open(None, None, ctypes.byref(model)), 1, "path is null")
    fails(library, library.emagram_open(path, None, None), 1, "model is null")
    assert library.emagram_open(path, None, ctypes.byref(model)) == 0
    assert library.emagram_last_error() == b""
    stale = ctypes.c_void_p(model.value)
    make = library.emagram_columns_new
    fails(library, make(model, ctypes.c_int64(-1), ctypes.c_int64(1), None, ctypes.byref(columns)), 1, "cannot be")
    huge = ctypes.c_int64(2**62)
    fails(library, make(model, huge, huge, None, ctypes.byref(columns)), 1, "cannot be")
    assert make(model, ctypes.c_int64(4), ctypes.c_int64(1), None, ctypes.byref(columns)) == 0
    assert library.emagram_close(ctypes.byref(model)) == 0
    assert model.value is None
    fails(library, library.emagram_close(ctypes.byref(model)), 1, "model: the handle is null")
    fails(library, library.emagram_close(ctypes.byref(stale)), 1, "not alive")
    step = (columns, ctypes.c_int64(4), ctypes.c_double(1200.0), ctypes.c_int64(0), ctypes.c_int64(0))
    fails(library, library.emagram_step(stale, *step), 1, "not alive")
    gone = ctypes.c_void_p(columns.value)
    assert library.emagram_columns_free(ctypes.byref(columns)) == 0
    fails(library, library.emagram_columns_free(ctypes.byref(gone)), 1, "columns: the handle is not alive")
    fails(library, library.emagram_bind(gone, b"x", ctypes.byref(FieldDescriptor(72))), 1, "struct_size")


def test_structures_are_filled_as_far_as_the_caller_knows_them(library: ctypes.CDLL) -> None:
    """An older host has shorter structures: what lies behind them is not touched."""
    options = (ctypes.c_byte * 64)(*[0x55] * 64)
    ctypes.c_size_t.from_buffer(options).value = 12
    assert library.emagram_options_init(options) == 0
    assert list(options[12:]) == [0x55] * 52
    ctypes.c_size_t.from_buffer(options).value = 0
    fails(library, library.emagram_options_init(options), 1, "struct_size is not set")


def test_messages_reach_the_callback_up_to_its_level(library: ctypes.CDLL, tiny_model: Path) -> None:
    said: list[tuple[int, str]] = []
    callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
        lambda level, message, _: said.append((level, message.decode()))
    )
    model = ctypes.c_void_p()
    for level, n_message in ((1, 0), (2, 1)):  # opening is told at level info
        assert library.emagram_set_log(callback, level, None) == 0
        assert library.emagram_open(str(tiny_model).encode(), None, ctypes.byref(model)) == 0
        assert library.emagram_close(ctypes.byref(model)) == 0
        assert len(said) == n_message
    assert said[0][0] == 2
    assert "opened model 'tiny'" in said[0][1]
    assert library.emagram_set_log(None, 2, None) == 0


def test_calls_that_come_later_say_so(library: ctypes.CDLL) -> None:
    fails(library, library.emagram_set_parallel_for(None, None), UNSUPPORTED, "not supported yet")
    assert library.emagram_abi_version() == 1


def test_wrong_fields(library: ctypes.CDLL, tiny_model: Path) -> None:
    model, columns = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.emagram_open(str(tiny_model).encode(), None, ctypes.byref(model)) == 0
    made = library.emagram_columns_new(model, ctypes.c_int64(4), ctypes.c_int64(1), None, ctypes.byref(columns))
    assert made == 0
    room = (ctypes.c_double * 64)()
    address = ctypes.addressof(room)

    def bind(name: bytes = b"air_temperature", **changes: object) -> int:
        axes = changes.pop("axes", [(1, 4, 8), (3, 8, 32)])
        values = {"struct_size": ctypes.sizeof(FieldDescriptor), "data": address, "dtype": 2, "device": 0,
                  "n_axis": len(axes), "flags": 0, "unit": None} | changes  # fmt: skip
        field = FieldDescriptor(**values)
        for i, (role, extent, stride) in enumerate(axes[:4]):
            field.axis[i] = Axis(role, 0, extent, stride)
        return library.emagram_bind(columns, name, ctypes.byref(field))

    assert bind() == 0
    for changes, code, message in [
        ({"name": b"air_temprature"}, 1, "no such input or output"),
        ({"struct_size": 8}, 1, "expected struct_size"),
        ({"data": None}, 7, "null"),
        ({"data": address + 4}, 7, "not aligned to 8 bytes"),
        ({"dtype": 3}, 7, "expected dtype real32 or real64"),
        ({"flags": 6}, 7, "expected flags 0 or EMAGRAM_PERSISTENT, got 6"),
        ({"name": b"heating", "axes": [(1, 4, 0), (3, 8, 32)]}, 7, "an output needs a stride"),
        ({"device": 1}, UNSUPPORTED, "device 1"),
        ({"axes": []}, 7, "expected 1 to 4 axes, got 0"),
        ({"n_axis": 9}, 7, "expected 1 to 4 axes, got 9"),
        ({"axes": [(1, 4, 8)]}, 7, "expected an axis with role level and extent 8, got no such axis"),
        ({"axes": [(1, 8, 8), (3, 4, 64)]}, 7, "role column_1 and extent 4, got extent 8"),
        ({"axes": [(1, 4, 8), (1, 8, 32)]}, 7, "two axes have the role column_1"),
        ({"axes": [(1, 4, 8), (4, 9, 32)]}, 7, "neighbour"),
        ({"axes": [(1, 4, 8), (5, 9, 32)]}, 7, "is not a role"),
        ({"axes": [(1, 4, 8), (3, 8, 33)]}, 7, "stride of 33 bytes"),
        ({"axes": [(1, 4, 8), (2, 2, 8), (3, 8, 32)]}, 7, "role column_2 and extent 1, got extent 2"),
        ({"name": b"surface_temperature"}, 7, "one value a column"),
        ({"unit": b"hPa"}, 7, "expected a unit like 'K', got 'hPa'"),
        ({"unit": b"furlong"}, 7, "unit 'furlong' is not known"),
    ]:
        fails(library, bind(**changes), code, message)


@pytest.mark.parametrize(
    ("dt", "message"),
    [
        (1800.0, "has a time step of 1200 s, got 1800 s"),
        (0.0, "positive dt"),
        (-1.0, "positive dt"),
        (np.nan, "positive dt"),
    ],
)
def test_wrong_time_step(tiny_model: Path, dt: float, message: str) -> None:
    model = emagram.open(tiny_model)
    with pytest.raises(BridgeError, match=message) as caught:
        model.step(model.columns(1), 1, dt)
    assert caught.value.code == 9


def test_another_time_step_when_allowed_and_any_where_the_model_has_none(tiny_model: Path, tmp_path: Path) -> None:
    free = TinyModel().write(tmp_path / "free.emg", time_step=None)
    for model in (emagram.open(tiny_model, allow_other_dt=True), emagram.open(free)):
        with pytest.raises(BridgeError, match="was not bound"):  # past the check of dt
            model.step(model.columns(1), 1, 7.0)


def test_wrong_number_model_and_policy(tiny_model: Path) -> None:
    model, other = emagram.open(tiny_model), emagram.open(tiny_model)
    columns = model.columns(2)
    with pytest.raises(BridgeError, match="expected 0 to 2 columns, got 3"):
        model.step(columns, 3, 1200.0)
    with pytest.raises(BridgeError, match="another model"):
        other.step(columns, 2, 1200.0)
    with pytest.raises(BridgeError, match="expected one of error, mask, clip, got 'ignore'"):
        emagram.open(tiny_model, policy="ignore")
    with pytest.raises(BridgeError, match="budget 'water': expected one of column"):
        columns.budget("water", 2)
    with pytest.raises(BridgeError, match="expected a role of"):
        columns.bind("air_temperature", np.zeros((2, 8)), "column height")
    with pytest.raises(BridgeError, match="expected one role for each of the 2 axes, got 1"):
        columns.bind("air_temperature", np.zeros((2, 8)), "column")
    frozen = np.zeros((2, 8))
    frozen.flags.writeable = False
    columns.bind("air_temperature", frozen, "column level")
    with pytest.raises(BridgeError, match="read-only"):
        columns.bind("heating", frozen, "column level")
    with pytest.raises(BridgeError, match="expected dtype real32 or real64"):
        columns.bind("air_temperature", np.zeros((2, 8), dtype=np.int64), "column level")
    model.close()
    with pytest.raises(BridgeError, match="null"):
        model.step(columns, 2, 1200.0)


def test_a_strange_instruction_set_is_refused(tiny_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, emagram; emagram.open(sys.argv[1])", str(tiny_model)],
        env=os.environ | {"EMAGRAM_ISA": "sse9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "EMAGRAM_ISA: expected one of" in done.stderr
