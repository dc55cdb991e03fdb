"""Whether a file of NetCDF's classic kinds is complete: its library reads what is missing at the end as zeros.

Format: "NetCDF Classic Format Specifications" in Unidata's NetCDF documentation: versions 1 (classic), 2 (64-bit
offset) and 5 (64-bit data), which differ in the width of counts and offsets. NetCDF-4 files are HDF5, whose own library
notices.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from ...physics.errors import EmagramError

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a value, by the number of its type."""
_VERSIONS = (1, 2, 5)
_FIRST_READ = 16_384  # more than most headers


def require_complete(path: Path) -> None:
    """Refuse a classic file that ends before its last variable does.

    Args:
        path: a NetCDF file whose header its library has read without complaint.
    Raises:
        EmagramError: if it ends too early. Files of other kinds pass.
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        expected = _expected_size(file, size)
    if size < expected:
        raise EmagramError(f"file '{path}': expected a complete NetCDF file, got one cut off after {size} bytes")


def _expected_size(file: BinaryIO, size: int) -> int:
    n_read = _FIRST_READ
    while True:
        file.seek(0)
        head = file.read(n_read)
        if len(head) < 4 or head[:3] != b"CDF" or head[3] not in _VERSIONS:
            return 0
        try:
            return _Header(head).end()
        except struct.error:  # the header is longer
            if n_read >= size:
                return size + 1
            n_read *= 4


class _Header:
    """Walks over a header; the fields follow one another without offsets."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 4
        self._wide = data[3] == 5
        self._count = struct.Struct(">q" if self._wide else ">i")
        self._offset = struct.Struct(">i" if data[3] == 1 else ">q")
        self._int = struct.Struct(">i")

    def end(self) -> int:
        """Where the last byte of fixed-size variables should be, plus one; files that grow have at least these."""
        self._take(self._count)  # number of records
        lengths = []
        for _ in range(self._list()):
            self._skip_name()
            lengths.append(self._take(self._count))
        self._skip_attributes()
        end = 0
        for _ in range(self._list()):
            end = max(end, self._variable_end(lengths))
        return max(end, self._at)

    def _variable_end(self, lengths: list[int]) -> int:
        self._skip_name()
        n_value = 1
        for _ in range(self._take(self._count)):
            n_value *= lengths[self._take(self._count)]  # 0 along the dimension that grows
        self._skip_attributes()
        size = _SIZES[self._take(self._int)]
        self._take(self._count)  # the size again, padded
        begin = self._take(self._offset)
        return begin + n_value * size

    def _take(self, kind: struct.Struct) -> int:
        (value,) = kind.unpack_from(self._data, self._at)
        self._at += kind.size
        return int(value)

    def _list(self) -> int:
        """Number of entries of the list that begins here, after its tag."""
        self._take(self._int)
        return self._take(self._count)

    def _skip_name(self) -> None:
        self._skip(self._take(self._count))

    def _skip_attributes(self) -> None:
        for _ in range(self._list()):
            self._skip_name()
            size = _SIZES[self._take(self._int)]
            self._skip(size * self._take(self._count))

    def _skip(self, n_byte: int) -> None:
        self._at += n_byte + (-n_byte % 4)
