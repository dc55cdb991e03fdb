"""Whose column physics a case runs with: the host's own, an emulator's, or a blend of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..physics.errors import EmagramError

SECONDS_PER_DAY = 86400
STATE = (
    "air_temperature",
    "specific_humidity",
    "mass_fraction_of_cloud_liquid_water_in_air",
    "mass_fraction_of_cloud_ice_in_air",
    "eastward_wind",
    "northward_wind",
)
FLUXES = ("precipitation", "shortwave", "longwave")
LONGEST_RAMP = 1e6  # [day], whose steps can be counted
VARIABLES = (*STATE, *FLUXES)
"""What can be taken from an emulator: tendencies of the state, and fluxes in three groups."""


@dataclass(frozen=True)
class ConventionalPhysicsConfig:
    """The host's own physics."""

    source: Literal["conventional"] = "conventional"

    @property
    def model_file(self) -> None:
        """None: it needs no model file."""
        return

    def settings(self, time_step: int) -> dict[str, Any]:
        """What the host's namelist says."""
        del time_step
        return {}


@dataclass(frozen=True)
class RampConfig:
    """How the share of the emulator grows after the spin-up.

    Attributes:
        kind: at once, in equal steps over `days`, or at once after `days`.
        share: [1] of the emulator in tendencies and fluxes in the end.
        days: [day].
    Raises:
        EmagramError: if the share is none, or a ramp that takes time is given none.
    """

    kind: Literal["constant", "linear", "step"] = "constant"
    share: float = 1.0
    days: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise EmagramError(f"ramp 'share': expected 0 to 1, got {self.share}")
        if self.kind == "constant" and self.days != 0.0:
            raise EmagramError(f"ramp 'days': expected none of a constant ramp, got {self.days}")
        if self.kind != "constant" and not self.days > 0.0:
            raise EmagramError(f"ramp 'days': expected more than 0 of a {self.kind} ramp, got {self.days}")
        if self.days > LONGEST_RAMP:
            raise EmagramError(f"ramp 'days': expected at most {LONGEST_RAMP:g}, got {self.days}")

    def settings(self, time_step: int) -> dict[str, Any]:
        """What the host's namelist says."""
        steps = self.days * SECONDS_PER_DAY / time_step
        if self.days and round(steps) < 1:
            raise EmagramError(f"ramp 'days': expected at least a time step of {time_step} s, got {self.days} days")
        return {"coupling%ramp": self.kind, "coupling%ramp_steps": round(steps), "coupling%share": self.share}


@dataclass(frozen=True, kw_only=True)
class CoupledPhysicsConfig:
    """What an emulator needs to be told whether it takes the place of the host's physics or is merged with it.

    Attributes:
        model: the model file; the run folder keeps a copy.
        spin_up_days: [day] of the host's own physics before.
        on_invalid: what is done with columns whose inputs cannot be or whose outputs are no numbers: the host's physics
            ("mask", and also "clip", which moves inputs into the training range first) or an end ("error").
        extrapolation_margin: [1] of the width of the training range of a variable by which an input may lie outside the
            range of its level before the column counts as extrapolated.
        reject_extrapolated: extrapolated columns fall back to the host's physics.
        constraints: whether the model file's constraints close the columns ("enforce") or are only measured
            ("measure"); then nothing closes, and the host fills up water below zero, as models without constraints do.
        variables: what is taken from the emulator, some of `VARIABLES`; all without.
    Raises:
        EmagramError: if the spin-up is negative or a variable is unknown or stands twice.
    """

    model: Path
    spin_up_days: int = 0
    on_invalid: Literal["mask", "clip", "error"] = "mask"
    extrapolation_margin: float = 0.0
    reject_extrapolated: bool = False
    constraints: Literal["enforce", "measure"] = "enforce"
    variables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.spin_up_days < 0:
            raise EmagramError(f"physics 'spin_up_days': expected 0 or more, got {self.spin_up_days}")
        if not 0.0 <= self.extrapolation_margin < float("inf"):
            raise EmagramError(
                f"physics 'extrapolation_margin': expected a number of 0 or more, got {self.extrapolation_margin}"
            )
        unknown = sorted(set(self.variables) - set(VARIABLES))
        if unknown or len(set(self.variables)) < len(self.variables):
            raise EmagramError(f"physics 'variables': expected some of {', '.join(VARIABLES)}, got {self.variables}")

    @property
    def model_file(self) -> Path:
        """The model file."""
        return self.model

    @property
    def taken(self) -> tuple[str, ...]:
        """What is taken from the emulator."""
        return self.variables or VARIABLES

    def settings(self, time_step: int) -> dict[str, Any]:
        """What the host's namelist says, but for the hash of the model file."""
        settings: dict[str, Any] = {
            "source": "emulator",
            "on_invalid": self.on_invalid,
            "reject_extrapolated": self.reject_extrapolated,
            "constraints": self.constraints,
            "extrapolation_margin": self.extrapolation_margin,
            "coupling%spin_up": self.spin_up_days * SECONDS_PER_DAY // time_step,
        }
        return settings | {f"variables({i})": name for i, name in enumerate(self.variables, start=1)}


@dataclass(frozen=True, kw_only=True)
class EmulatorPhysicsConfig(CoupledPhysicsConfig):
    """An emulator in place of the host's physics."""

    source: Literal["emulator"]


@dataclass(frozen=True, kw_only=True)
class BlendPhysicsConfig(CoupledPhysicsConfig):
    """Tendencies and fluxes of the emulator and of the host's physics, merged.

    Attributes:
        ramp: the emulator's share in time.
    """

    source: Literal["blend"]
    ramp: RampConfig

    def settings(self, time_step: int) -> dict[str, Any]:
        """What the host's namelist says, but for the hash of the model file."""
        return super().settings(time_step) | self.ramp.settings(time_step)


PhysicsConfig = ConventionalPhysicsConfig | EmulatorPhysicsConfig | BlendPhysicsConfig
