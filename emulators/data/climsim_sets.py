"""ClimSim's variable sets: what an emulator is given and returns, by ClimSim's names, in ClimSim's packing order.

A packed row holds the variables one after another, a profile as n_level values from the model top. The order differs
between sets: surface pressure is value 360 of a row of v2 and value 540 of a row of v2_rh, where the original
repository looks for it at the same place in both. Take variables by name (`VariableSet.input_slices`), never by number.

`tm_` marks one time step before. The values in `ONLINE_ONLY_ZERO` are in the rows of v4 and v5, but the coupled model
has no values for them and writes zeros: an emulator must not be trained on them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from ...physics.errors import EmagramError
from ...physics.variables import VARIABLES

FEATURES = ("state_rh", "state_qn", "liq_partition")
"""Profiles that ClimSim computes from a state before it packs: relative humidity [1], cloud liquid and ice [kg kg-1],
and the liquid share of cloud [1]. Our emulators compute them inside, from the variables of the state."""

ONLINE_ONLY_ZERO = ("tm_state_ps", "tm_pbuf_SOLIN", "tm_pbuf_LHFLX", "tm_pbuf_SHFLX", "tm_pbuf_COSZRS", "icol")
"""Inputs that are zero when coupled, whatever they are in the files."""

_PROFILES = frozenset(
    [
        *FEATURES,
        *(v.aliases["climsim"] for v in VARIABLES.values() if "climsim" in v.aliases and v.dimension == "layer"),
    ]
)


@dataclass(frozen=True)
class VariableSet:
    """One of ClimSim's data sets.

    Attributes:
        name: ClimSim's, as in "v2_rh".
        inputs, outputs: ClimSim's names in packing order.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        for what, names in (("inputs", self.inputs), ("outputs", self.outputs)):
            if len(set(names)) != len(names) or not names:
                raise EmagramError(f"variable set '{self.name}' {what}: expected names once each, got {names}")

    def n_input(self, n_level: int) -> int:
        """Number of values in a row of inputs."""
        return _total(self.inputs, n_level)

    def n_output(self, n_level: int) -> int:
        """Number of values in a row of outputs."""
        return _total(self.outputs, n_level)

    def input_slices(self, n_level: int) -> dict[str, slice]:
        """Where each input is in a row, by ClimSim name."""
        return _slices(self.inputs, n_level)

    def output_slices(self, n_level: int) -> dict[str, slice]:
        """Where each output is in a row, by ClimSim name."""
        return _slices(self.outputs, n_level)


def is_profile(name: str) -> bool:
    """Whether a ClimSim name is of a profile, (n_column, n_level), and not of one value a column."""
    return name in _PROFILES


def variable_set(name: str) -> VariableSet:
    """The set of a name.

    Raises:
        EmagramError: if there is none; it names the nearest.
    """
    if name in VARIABLE_SETS:
        return VARIABLE_SETS[name]
    nearest = difflib.get_close_matches(name, VARIABLE_SETS, n=1, cutoff=0.0)[0]
    raise EmagramError(f"variable set: expected one of {', '.join(VARIABLE_SETS)} (nearest '{nearest}'), got '{name}'")


def _total(names: tuple[str, ...], n_level: int) -> int:
    return sum(n_level if is_profile(name) else 1 for name in names)


def _slices(names: tuple[str, ...], n_level: int) -> dict[str, slice]:
    slices, start = {}, 0
    for name in names:
        stop = start + (n_level if is_profile(name) else 1)
        slices[name] = slice(start, stop)
        start = stop
    return slices


def _before(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"tm_{name}" for name in names)


_GASES = ("pbuf_ozone", "pbuf_CH4", "pbuf_N2O")
_SCALARS = (
    "state_ps",
    "pbuf_SOLIN",
    "pbuf_LHFLX",
    "pbuf_SHFLX",
    "pbuf_TAUX",
    "pbuf_TAUY",
    "pbuf_COSZRS",
    "cam_in_ALDIF",
    "cam_in_ALDIR",
    "cam_in_ASDIF",
    "cam_in_ASDIR",
    "cam_in_LWUP",
    "cam_in_ICEFRAC",
    "cam_in_LANDFRAC",
    "cam_in_OCNFRAC",
    "cam_in_SNOWHICE",
    "cam_in_SNOWHLAND",
)
_SURFACE = (
    "cam_out_NETSW",
    "cam_out_FLWDS",
    "cam_out_PRECSC",
    "cam_out_PRECC",
    "cam_out_SOLS",
    "cam_out_SOLL",
    "cam_out_SOLSD",
    "cam_out_SOLLD",
)
_STATE_RAW = ("state_t", "state_q0001", "state_q0002", "state_q0003", "state_u", "state_v")
_STATE_RH = ("state_t", "state_rh", "state_q0002", "state_q0003", "state_u", "state_v")
_STATE_CLOUD = ("state_t", "state_rh", "state_qn", "liq_partition", "state_u", "state_v")
_FORCING = ("state_t_dyn", "state_q0_dyn", "state_u_dyn")
_PHYSICS = (
    "state_t_prvphy",
    "state_q0001_prvphy",
    "state_q0002_prvphy",
    "state_q0003_prvphy",
    "state_u_prvphy",
)
_PHYSICS_CLOUD = ("state_t_prvphy", "state_q0001_prvphy", "state_qn_prvphy", "state_u_prvphy")
_TM_SCALARS = ONLINE_ONLY_ZERO[:5]

_PHYSICS_MEMORY = (*_PHYSICS, *_before(_PHYSICS))
_CLOUD_MEMORY = (*_FORCING, *_before(_FORCING), *_PHYSICS_CLOUD, *_before(_PHYSICS_CLOUD))

_OUT = ("ptend_t", "ptend_q0001", "ptend_q0002", "ptend_q0003", "ptend_u", "ptend_v", *_SURFACE)
_OUT_CLOUD = ("ptend_t", "ptend_q0001", "ptend_qn", "ptend_u", "ptend_v", *_SURFACE)

_ALL = (
    VariableSet(
        "v1",
        ("state_t", "state_q0001", "state_ps", "pbuf_SOLIN", "pbuf_LHFLX", "pbuf_SHFLX"),
        ("ptend_t", "ptend_q0001", *_SURFACE),
    ),
    VariableSet("v2", (*_STATE_RAW, *_SCALARS, *_GASES), _OUT),
    VariableSet("v2_rh", (*_STATE_RH, *_GASES, *_SCALARS), _OUT),
    VariableSet("v2_rh_mc", (*_STATE_CLOUD, *_GASES, *_SCALARS), _OUT_CLOUD),
    VariableSet(
        "v4",
        (
            *(*_STATE_RH, *_FORCING, *_before(_FORCING), *_PHYSICS_MEMORY),
            *(*_GASES, *_SCALARS, *_TM_SCALARS, "clat", "slat", "icol"),
        ),
        _OUT,
    ),
    VariableSet(
        "v5",
        (*_STATE_CLOUD, *_CLOUD_MEMORY, *_GASES, *_SCALARS, *_TM_SCALARS, "clat", "slat", "icol"),
        _OUT_CLOUD,
    ),
    VariableSet("v6", (*_STATE_CLOUD, *_CLOUD_MEMORY, *_GASES, *_SCALARS, "clat", "slat"), _OUT_CLOUD),
    VariableSet("v7", (*_STATE_CLOUD, *_PHYSICS_CLOUD, *_GASES, *_SCALARS), _OUT_CLOUD),
)

VARIABLE_SETS: Mapping[str, VariableSet] = {variables.name: variables for variables in _ALL}
"""The sets by name."""
