"""Short cases of the column host with an emulator, and what their summaries say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from emagram.hybrid.case import CaseConfig, RecordConfig
from emagram.hybrid.physics_config import BlendPhysicsConfig, EmulatorPhysicsConfig, PhysicsConfig, RampConfig
from host_case import small_case


def online_case(physics: PhysicsConfig | None, **changes: Any) -> CaseConfig:
    """Nine columns for four days, the first of them a spin-up where there is an emulator."""
    case = small_case(**({"days": 4, "record": RecordConfig()} | changes))
    return case if physics is None else dataclasses.replace(case, physics=physics)


def emulator(model: Path, **changes: Any) -> EmulatorPhysicsConfig:
    return EmulatorPhysicsConfig(**({"source": "emulator", "model": model, "spin_up_days": 1} | changes))


def blend(model: Path, ramp: RampConfig, **changes: Any) -> BlendPhysicsConfig:
    return BlendPhysicsConfig(**({"source": "blend", "model": model, "spin_up_days": 1, "ramp": ramp} | changes))


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())
