"""The model file `.emg`: writing it byte-reproducibly, and reading it without trusting it.

The format is described in `fortran_bridge/MODEL_FILE.md`. This module knows the container only: the order and
alignment of the members, their checksums, and the format version. What they mean is the business of `export`.
"""

import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..physics.errors import EmagramError
from .atomic import write_atomically

FORMAT = "emagram-model"
FORMAT_VERSION = 1
ALIGNMENT = 64
"""Bytes; the data of every member starts at a multiple of it, so that a reader may map weights in place."""

_PADDING_HEADER_ID = 0x4D45
_LOCAL_HEADER_SIZE = 30
_MEMBERS = ("plan.json", "weights.safetensors", "selftest.safetensors")
_COMMENT = re.compile(rb"emagram (\d+) sha256:([0-9a-f]{64})")
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    KeyError,
    ValueError,
    RuntimeError,  # includes NotImplementedError: an encrypted or compressed member
    OverflowError,
)


@dataclass(frozen=True)
class ModelFile:
    """The contents of a model file.

    Attributes:
        manifest: everything but numbers by the thousand.
        plan: what the native runtime executes.
        weights: the tensors that the plan and the manifest name.
        selftest: `input.<name>` and `output.<name>`, each float64 (n_column, size).
    """

    manifest: dict[str, Any]
    plan: dict[str, Any]
    weights: dict[str, np.ndarray]
    selftest: dict[str, np.ndarray]


def encode_json(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, without spaces, in UTF-8; a NaN or infinity raises ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def write_model_file(path: Path, contents: ModelFile) -> None:
    """Write a model file under its final name only when it is complete.

    Args:
        path: where to; an existing file is replaced.
        contents: its `manifest` needs neither `format`, `format_version` nor `members`, which are filled in here.
    Raises:
        OSError: if the folder cannot be written or the disk is full; `path` is then unchanged.
    """
    write_atomically(path, to_bytes(contents))


def to_bytes(contents: ModelFile) -> bytes:
    """The model file as bytes; the same contents give the same bytes."""
    members = {
        "plan.json": encode_json(contents.plan),
        "weights.safetensors": _encode_tensors(contents.weights),
        "selftest.safetensors": _encode_tensors(contents.selftest),
    }
    manifest = encode_json(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **contents.manifest,
            "members": {name: {"size": len(data), "sha256": _sha256(data)} for name, data in members.items()},
        }
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {"manifest.json": manifest, **members}.items():
            archive.writestr(_aligned_member(name, stream.tell()), data)
        archive.comment = f"emagram {FORMAT_VERSION} sha256:{_sha256(manifest)}".encode()
    return stream.getvalue()


def _encode_tensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The safetensors bytes; its writer takes the memory as it lies, so a view with strides must be copied first."""
    return bytes(save_tensors({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}))


def read_model_file(path: Path) -> ModelFile:
    """Read a model file and verify its checksums and its format version.

    Raises:
        EmagramError: if the file cannot be read, is not a model file, is truncated, differs from its checksums, or
            has a newer format version.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise EmagramError(f"model file '{path}': expected a readable file, got {error.strerror}") from error
    return from_bytes(data, name=str(path))


def sha256_of(path: Path) -> str:
    """SHA-256 of the manifest of a model file, which vouches for all else in it: what names a model.

    Raises:
        EmagramError: if the file cannot be read or is no model file.
    """
    try:
        match = _COMMENT.search(Path(path).read_bytes()[-len("emagram 1234567890 sha256:") - 64 :])
    except OSError as error:
        raise EmagramError(f"model file '{path}': expected a readable file, got {error.strerror}") from error
    if match is None:
        raise EmagramError(f"model file '{path}': expected an Emagram model, got another file")
    return match[2].decode()


def from_bytes(data: bytes, *, name: str) -> ModelFile:
    """Read a model file held in memory; `name` stands in messages. Raises as `read_model_file`."""
    comment, members = _read_archive(data, name)
    match = _COMMENT.fullmatch(comment)
    if match is None:
        raise EmagramError(f"model file '{name}': expected the archive comment of a model file, got {comment[:40]!r}")
    _verify("manifest.json", members, sha256=match[2].decode(), file=name)
    manifest = _parse_json("manifest.json", members, name)
    listed = manifest.get("members")
    listed = listed if isinstance(listed, dict) else {}
    for member, entry in listed.items():
        _verify(member, members, sha256=entry.get("sha256") if isinstance(entry, dict) else None, file=name)
    _require_version(manifest, name)
    absent = [member for member in _MEMBERS if member not in listed]
    if absent:
        raise EmagramError(f"model file '{name}': expected member '{absent[0]}', got none")
    return ModelFile(
        manifest,
        _parse_json("plan.json", members, name),
        _parse_tensors("weights.safetensors", members, name),
        _parse_tensors("selftest.safetensors", members, name),
    )


def _aligned_member(name: str, offset: int) -> zipfile.ZipInfo:
    """A member whose local header stands at `offset` and whose data starts at a multiple of ALIGNMENT."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = 0o644 << 16
    start = offset + _LOCAL_HEADER_SIZE + len(name) + 4
    padding = -start % ALIGNMENT
    info.extra = struct.pack("<HH", _PADDING_HEADER_ID, padding) + bytes(padding)
    return info


def _read_archive(data: bytes, file: str) -> tuple[bytes, dict[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            compressed = [info.filename for info in archive.infolist() if info.compress_type != zipfile.ZIP_STORED]
            if compressed:
                raise EmagramError(f"model file '{file}': expected stored members, got '{compressed[0]}' compressed")
            if not data.endswith(archive.comment):
                raise EmagramError(f"model file '{file}': expected nothing behind the archive, got more bytes")
            return archive.comment, {info.filename: archive.read(info) for info in archive.infolist()}
    except EmagramError:
        raise
    except zipfile.BadZipFile as error:
        if "CRC-32" in str(error):
            raise EmagramError(f"model file '{file}': expected members that match their checksums: {error}") from error
        raise EmagramError(f"model file '{file}': expected a complete model file: {error}") from error
    except _UNREADABLE as error:
        raise EmagramError(f"model file '{file}': expected a complete model file: {error}") from error


def _verify(member: str, members: Mapping[str, bytes], *, sha256: str | None, file: str) -> None:
    if member not in members:
        raise EmagramError(f"model file '{file}': expected member '{member}', got none")
    found = _sha256(members[member])
    if found != sha256:
        raise EmagramError(f"model file '{file}': expected checksum {sha256} of member '{member}', got {found}")


def _require_version(manifest: Mapping[str, Any], file: str) -> None:
    if manifest.get("format") != FORMAT:
        raise EmagramError(f"model file '{file}': expected format '{FORMAT}', got {manifest.get('format')!r}")
    version = manifest.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise EmagramError(f"model file '{file}': expected format version up to {FORMAT_VERSION}, got {version!r}")


def _parse_json(member: str, members: Mapping[str, bytes], file: str) -> dict[str, Any]:
    try:
        value = json.loads(members[member])
    except ValueError as error:
        raise EmagramError(f"model file '{file}': expected JSON in member '{member}': {error}") from error
    if not isinstance(value, dict):
        raise EmagramError(f"model file '{file}': expected a JSON object in member '{member}', got {type(value)}")
    return value


def _parse_tensors(member: str, members: Mapping[str, bytes], file: str) -> dict[str, np.ndarray]:
    try:
        return load_tensors(members[member])
    except (SafetensorError, ValueError) as error:
        raise EmagramError(f"model file '{file}': expected tensors in member '{member}': {error}") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
