"""emagram_c.f90 says the same as emagram.h."""

import re
from pathlib import Path

BRIDGE = Path(__file__).resolve().parents[2] / "fortran_bridge"
HEADER = re.sub(r"/\*.*?\*/", "", (BRIDGE / "include/emagram.h").read_text(), flags=re.S)
FORTRAN = re.sub(r"!.*", "", (BRIDGE / "fortran/emagram_c.f90").read_text())
C_TO_FORTRAN = {"size_t": "size_t", "int32_t": "int32_t", "int64_t": "int64_t", "uint32_t": "int32_t"}


def test_constants():
    in_c = {name.lower(): int(value) for name, value in re.findall(r"\b(EMAGRAM_\w+) = (\d+)", HEADER)}
    in_c |= {name.lower(): int(value) for name, value in re.findall(r"#define (EMAGRAM_\w+) (\d+)u?\s", HEADER)}
    in_c["emagram_header_version"] = in_c.pop("emagram_abi_version")
    in_fortran = {name: int(value) for name, value in re.findall(r"\b(emagram_\w+) = (\d+)", FORTRAN)}
    assert in_fortran == in_c


def test_functions():
    in_c = set(re.findall(r"EMAGRAM_API[^;(]*?\b(emagram_\w+)\(", HEADER))
    in_fortran = set(re.findall(r'bind\(c, name="(emagram_\w+)"\)', FORTRAN))
    assert len(in_c) > 15
    assert in_fortran == in_c


def test_structures():
    for name, body in re.findall(r"typedef struct (emagram_\w+) \{(.*?)\}", HEADER, flags=re.S):
        (twin,) = re.findall(rf"type, bind\(c\), public :: {name}\n(.*?)end type", FORTRAN, flags=re.S)
        assert components_of_fortran(twin) == components_of_c(body), name


def components_of_c(body: str) -> list[tuple[str, str]]:
    components = []
    for kind, names in re.findall(r"^\s*([\w ]+?[ *]+)(\w[\w, \[\]]*);", body, flags=re.M):
        base = kind.replace("const ", "").strip()
        word = "ptr" if "*" in base else C_TO_FORTRAN.get(base, base)
        components += [(re.sub(r"\[.*", "", item.strip()), word) for item in names.split(",")]
    return components


def components_of_fortran(body: str) -> list[tuple[str, str]]:
    kinds = re.findall(r"^\s*\w+\((?:c_)?(\w+)\) :: (\w+)", body, flags=re.M)
    return [(name, kind) for kind, name in kinds]
