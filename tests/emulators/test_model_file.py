import hashlib
import json
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.emulators.model_file import ALIGNMENT, ModelFile, encode_json, from_bytes, read_model_file, to_bytes
from emagram.emulators.model_file import write_model_file as write
from emagram.physics.errors import EmagramError

CONTENTS = ModelFile(
    manifest={"name": "tiny", "description": "Δp, in UTF-8"},
    plan={"plan_version": 1, "operations": []},
    weights={"b": np.arange(7, dtype=np.float32), "a": np.linspace(0.0, 1.0, 5)},
    selftest={"input.x": np.ones((2, 3)), "output.y": np.zeros((2, 1))},
)
DATA = to_bytes(CONTENTS)


def members(data: bytes) -> dict[str, tuple[int, int]]:
    """Offset and size of the data of every member, read from the local headers by hand."""
    found, at = {}, 0
    while data[at : at + 4] == b"PK\x03\x04":
        method, _, date, _, size, _, n_name, n_extra = struct.unpack_from("<HHHIIIHH", data, at + 8)
        name = data[at + 30 : at + 30 + n_name].decode()
        extra = data[at + 30 + n_name : at + 30 + n_name + n_extra]
        assert (method, date) == (0, 0x21)
        assert struct.unpack_from("<HH", extra) == (0x4D45, len(extra) - 4)
        found[name] = (at + 30 + n_name + n_extra, size)
        at = sum(found[name])
    return found


def test_members_stand_in_order_and_aligned() -> None:
    found = members(DATA)
    assert list(found) == ["manifest.json", "plan.json", "weights.safetensors", "selftest.safetensors"]
    assert all(offset % ALIGNMENT == 0 for offset, _ in found.values())


def test_python_reads_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "a model.emg"
    write(path, CONTENTS)
    done = subprocess.run([sys.executable, "-m", "zipfile", "-t", path], capture_output=True, text=True, check=True)
    assert "Done testing" in done.stdout
    with zipfile.ZipFile(path) as archive:
        manifest = archive.read("manifest.json")
        assert archive.comment.decode() == f"emagram 1 sha256:{hashlib.sha256(manifest).hexdigest()}"
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in archive.infolist())
        for name, entry in json.loads(manifest)["members"].items():
            data = archive.read(name)
            assert entry == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_the_same_model_gives_the_same_bytes() -> None:
    shuffled = ModelFile(
        dict(reversed(CONTENTS.manifest.items())),
        dict(reversed(CONTENTS.plan.items())),
        dict(reversed(CONTENTS.weights.items())),
        dict(reversed(CONTENTS.selftest.items())),
    )
    assert to_bytes(shuffled) == DATA
    script = "import sys; from test_model_file import DATA; sys.stdout.buffer.write(DATA)"
    path = [str(Path(__file__).parent), *sys.path]
    for seed in ("1", "2"):
        environment = {"PYTHONPATH": ":".join(path), "PYTHONHASHSEED": seed}
        assert (
            subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment).stdout
            == DATA
        )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tiny.emg"
    write(path, CONTENTS)
    found = read_model_file(path)
    assert found.manifest["name"] == "tiny"
    assert found.plan == CONTENTS.plan
    for name in ("weights", "selftest"):
        expected, got = getattr(CONTENTS, name), getattr(found, name)
        assert expected.keys() == got.keys()
        for key, value in expected.items():
            assert value.dtype == got[key].dtype
            np.testing.assert_array_equal(value, got[key])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(DATA) - 1))
def test_a_truncated_file_is_refused_in_one_sentence(size: int) -> None:
    with pytest.raises(EmagramError, match=r"model file 'short': expected [^\n]*$"):
        from_bytes(DATA[:size], name="short")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(position: int, change: int) -> None:
    changed = bytearray(DATA)
    changed[position] ^= change
    try:
        found = from_bytes(bytes(changed), name="changed")
    except EmagramError as error:
        message = str(error)
    else:
        message = "model file 'changed': expected nothing else" if to_bytes(found) == DATA else "was believed"
    assert re.fullmatch(r"model file 'changed': expected [^\n]*", message)


@pytest.mark.parametrize("member", ["manifest.json", "plan.json", "weights.safetensors", "selftest.safetensors"])
def test_a_changed_byte_of_a_member_fails_its_checksum(member: str) -> None:
    offset, size = members(DATA)[member]
    for position in (offset, offset + size // 2, offset + size - 1):
        changed = bytearray(DATA)
        changed[position] ^= 1
        with pytest.raises(EmagramError, match="checksum"):
            from_bytes(bytes(changed), name="changed")


def test_members_that_do_not_match_the_manifest_are_refused(tmp_path: Path) -> None:
    """With a valid CRC: another archiver wrote it, the SHA-256 remains."""
    path = tmp_path / "other.emg"
    with zipfile.ZipFile(path, "w") as archive, zipfile.ZipFile(_stored(tmp_path)) as original:
        archive.comment = original.comment
        for info in original.infolist():
            archive.writestr(info.filename, b"{}" if info.filename == "plan.json" else original.read(info))
    with pytest.raises(EmagramError, match=r"expected checksum [0-9a-f]{64} of member 'plan.json'"):
        read_model_file(path)


def test_a_newer_format_is_refused_by_number() -> None:
    newer = ModelFile(CONTENTS.manifest | {"format_version": 2}, CONTENTS.plan, CONTENTS.weights, CONTENTS.selftest)
    with pytest.raises(EmagramError, match="expected format version up to 1, got 2"):
        from_bytes(to_bytes(newer), name="newer")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmagramError, match="expected a readable file"):
        read_model_file(tmp_path / "absent.emg")
    with pytest.raises(EmagramError, match="expected a readable file"):
        read_model_file(tmp_path)
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(EmagramError, match="archive comment"):
        read_model_file(tmp_path / "plain.zip")
    path = tmp_path / "deflated.emg"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}" * 100)
    with pytest.raises(EmagramError, match="expected stored members"):
        read_model_file(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.emg"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, CONTENTS)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_compact_sorted_and_finite() -> None:
    assert encode_json({"b": 1.5, "a": "Δ"}) == '{"a":"Δ","b":1.5}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_json({"x": float("nan")})


def _stored(folder: Path) -> Path:
    path = folder / "stored.emg"
    write(path, CONTENTS)
    return path
