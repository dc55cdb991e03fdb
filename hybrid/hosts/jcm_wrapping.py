"""A term of jcm that stands in for another and answers jcm's questions as that one would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jcm.physics.physics_term import PhysicsTerm

ANNOUNCED = (
    "requires",
    "provides",
    "output_attrs",
    "output_key_map",
    "requires_dycore_fields",
    "requires_post_physics_fields",
    "prognostic_carry_slots",
    "UNITS_TABLE_CSV_PATH",
)
"""What a term announces of itself in attributes."""


class WrappingTerm(PhysicsTerm):  # type: ignore[misc]  # jcm has no types
    """The base of a term that may hold another.

    Args:
        replaced: the term that it stands in for, or None.
    """

    def __init__(self, replaced: Any | None) -> None:
        super().__init__()
        self.replaced = replaced
        for name in ANNOUNCED if replaced is not None else ():
            setattr(self, name, getattr(replaced, name))

    def _ask(self, question: str, default: Any, *arguments: Any, **options: Any) -> Any:
        """What the replaced term answers."""
        return default if self.replaced is None else getattr(self.replaced, question)(*arguments, **options)

    def cache_coords(self, coords: Any) -> None:
        """See PhysicsTerm."""
        self._ask("cache_coords", None, coords)

    def cache_band_config(self, band_config: Any) -> None:
        """See PhysicsTerm."""
        self._ask("cache_band_config", None, band_config)

    def adopt_runtime_configuration(self, previous: Any) -> None:
        """See PhysicsTerm."""
        self._ask("adopt_runtime_configuration", None, previous)

    def required_tracers(self) -> tuple[Any, ...]:
        """See PhysicsTerm."""
        return tuple(self._ask("required_tracers", ()))

    def initial_carry_state(self, coords: Any) -> Mapping[str, Any]:
        """See PhysicsTerm."""
        return dict(self._ask("initial_carry_state", {}, coords))

    def stable_time_step_minutes(self, coords: Any) -> float | None:
        """See PhysicsTerm."""
        return self._ask("stable_time_step_minutes", None, coords)  # type: ignore[no-any-return]

    def preferred_advection(self) -> str | None:
        """See PhysicsTerm."""
        return self._ask("preferred_advection", None)  # type: ignore[no-any-return]

    def withheld_output_keys(self) -> tuple[str, ...]:
        """See PhysicsTerm."""
        return tuple(self._ask("withheld_output_keys", ()))

    def augment_probe_forcing(self, forcing: Any) -> Any:
        """See PhysicsTerm."""
        return self._ask("augment_probe_forcing", forcing, forcing)

    def consumed_forcing_fields(self) -> tuple[str, ...]:
        """See PhysicsTerm."""
        return tuple(self._ask("consumed_forcing_fields", ()))

    def validate_forcing(self, forcing: Any, run_window: Any = None) -> None:
        """See PhysicsTerm."""
        self._ask("validate_forcing", None, forcing, run_window=run_window)
