"""A model file as one of the physics terms of jcm, a climate model in JAX (extra `jcm`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jcm.constants as jcm_constants
import numpy as np
from jcm.physics_interface import PhysicsTendency
from numpy.typing import NDArray

from ...fortran_bridge.dataset import Field
from ...fortran_bridge.model import Model
from ...fortran_bridge.model import open as open_model
from ...physics.errors import EmagramError
from .jcm_fields import ON_GRID, SPEEDY, STATE, TENDENCIES, Grid, HostField
from .jcm_wrapping import WrappingTerm
from .merging import EXTRAPOLATED, REJECTED, check_dimensions, merge_columns

CONSTANTS = {"gravity": "grav", "heat_capacity_dry_air": "cpd"}
"""Constants of a model file that its constraints close budgets with, and jcm's names for them."""


class EmulatorTerm(WrappingTerm):
    """A physics term of jcm computed by an Emagram model file, closed by the file's constraints.

    The library is called on all columns of a step at once, through `jax.pure_callback`: it runs under jit, vmap and
    scan, on the CPU, and cannot be differentiated. Outputs that are tendencies go to jcm's state; fluxes go to the
    structures of SPEEDY's terms that hold them. In the output stand, under `emulated_CATEGORY`, every flux, the steps
    of each column that were rejected or extrapolated since the run began, and the residual of each budget before it
    was closed.

    Args:
        path: of the model file.
        category: of jcm's terms, by which `ComposablePhysics.replace` finds the one to replace.
        replaced: a term that computes the same. It is then computed too: its tendencies and fluxes are what `share`
            blends with and what a rejected column falls back to, and what the model does not compute stays its own.
            None: a rejected column gets zeros.
        share: of the emulator in tendencies and fluxes, from 0 to 1.
        policy: what an invalid column does, "mask", "clip" or "error", as in `emagram.open`.
        allow_other_dt: accept a time step other than the model's.
        fields: where jcm keeps further inputs and outputs, beyond its state and SPEEDY's terms.
    Raises:
        EmagramError: jcm has no such input, a share is not from 0 to 1, or there is nothing to blend with.
        BridgeError: the file is not a sound model file.
    """

    def __init__(
        self,
        path: str | Path,
        category: str,
        *,
        replaced: Any | None = None,
        share: float = 1.0,
        policy: str = "mask",
        allow_other_dt: bool = False,
        fields: Sequence[HostField] = (),
    ) -> None:
        super().__init__(replaced)
        self.model = open_model(path, policy=policy, allow_other_dt=allow_other_dt, defer_constraints=True)
        self.name = f"emulated_{category}"
        self.category = category
        self.share = share
        self.fields = {field.name: field for field in (*SPEEDY, *fields)}
        self.grid: Grid | None = None
        _check_share(share, replaced)
        _check_fields(self.model, self.fields, blended=replaced is not None)

    def cache_coords(self, coords: Any) -> None:
        """Take over jcm's grid, when a jcm model is made with this term.

        Raises:
            EmagramError: the model file has other levels or constants, or jcm's levels are not σ levels.
        """
        super().cache_coords(coords)
        n_level = coords.nodal_shape[0]
        if n_level != self.model.n_level:
            raise EmagramError(
                f"model '{self.model.name}': expected the {n_level} levels of jcm, got {self.model.n_level}"
            )
        _check_constants(self.model)
        self.grid = Grid.from_coordinates(coords, reference_pressure=jcm_constants.p0)

    def __call__(
        self, state: Any, diagnostics: dict[str, Any], forcing: Any, terrain: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Tendencies of the emulated process, and the diagnostics with its fluxes; see PhysicsTerm."""
        inputs = self._inputs(state, diagnostics)
        tendency, after, host = PhysicsTendency.zeros(state.temperature.shape), diagnostics, None
        if self.replaced is not None:
            tendency, after = self.replaced(state, diagnostics, forcing, terrain)
            host = self._host_outputs(tendency, after)
        surface_pressure = state.normalized_surface_pressure
        outputs, status, before = jax.pure_callback(
            self._merge,
            self._shapes(surface_pressure.size, surface_pressure.dtype),
            (jnp.asarray(diagnostics["_dt_seconds"]), surface_pressure.reshape(-1), inputs, host),
            vmap_method="broadcast_all",
        )
        horizontal = surface_pressure.shape
        tendencies, fluxes = _sort(outputs, horizontal)
        for name, value in fluxes.items():
            after = self.fields[name].write(after, value) if name in self.fields else after
        record = self._counted(diagnostics, status.reshape(horizontal)) | fluxes
        record |= {f"{name}_residual_before": value.reshape(horizontal) for name, value in before.items()}
        return tendency.copy(**tendencies), {**after, self.name: record}

    def _inputs(self, state: Any, diagnostics: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs that do not follow from pressure and place, (size, n_column) or (n_column)."""
        inputs = {}
        for field in self.model.inputs:
            if field.name in STATE:
                inputs[field.name] = _unfold(getattr(state, STATE[field.name]), field)
            elif field.name not in ON_GRID:
                inputs[field.name] = _unfold(self.fields[field.name].read(diagnostics), field)
        return inputs

    def _merge(self, arguments: Any) -> Any:
        """The callback: numpy in, numpy out; axes before those of a field are batches that vmap made."""
        dt, surface_pressure, inputs, host = jax.tree.map(np.asarray, arguments)
        lead, n_column = surface_pressure.shape[:-1], surface_pressure.shape[-1]

        def batched(values: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value.reshape(-1, *value.shape[len(lead) :]) for name, value in values.items()}

        assert self.grid is not None
        given = self.grid.fields(surface_pressure.reshape(-1, n_column)) | batched(inputs)
        merged = merge_columns(
            self.model, given, None if host is None else batched(host), share=self.share, dt=float(dt.flat[0])
        )

        def returned(value: NDArray[Any], shape: Any) -> NDArray[Any]:
            return value.reshape(*lead, *shape.shape).astype(shape.dtype)

        shapes = self._shapes(n_column, surface_pressure.dtype)
        return jax.tree.map(returned, (merged.outputs, merged.status, merged.before), shapes)

    def _shapes(self, n_column: int, dtype: Any) -> Any:
        """What `_merge` returns: outputs by name, status, residuals before by budget."""
        column = jax.ShapeDtypeStruct((n_column,), dtype)
        outputs = {
            field.name: column if field.dimension == "column" else jax.ShapeDtypeStruct((field.size, n_column), dtype)
            for field in self.model.outputs
        }
        return outputs, jax.ShapeDtypeStruct((n_column,), jnp.int32), dict.fromkeys(self.model.budgets, column)

    def _host_outputs(self, tendency: Any, diagnostics: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs as the replaced term has them."""
        return {
            field.name: _unfold(
                getattr(tendency, TENDENCIES[field.name])
                if field.name in TENDENCIES
                else self.fields[field.name].read(diagnostics),
                field,
            )
            for field in self.model.outputs
        }

    def _counted(self, diagnostics: Mapping[str, Any], status: Any) -> dict[str, Any]:
        """Steps of each column since the run began in which it was rejected or extrapolated."""
        befell = {"rejected_steps": status >= REJECTED, "extrapolated_steps": jnp.isin(status, jnp.array(EXTRAPOLATED))}
        earlier = diagnostics.get(self.name, {})
        return {name: earlier.get(name, jnp.int32(0)) + now.astype(jnp.int32) for name, now in befell.items()}


def emulate(physics: Any, category: str, path: str | Path, **options: Any) -> Any:
    """jcm's physics with one of its terms emulated; the term stays what is blended with and fallen back to.

    Args:
        physics: a ComposablePhysics of jcm, for instance `speedy_physics()`.
        category: of the term; for instance SPEEDY's "radiation_lw_up".
        path: of the model file.
        options: of EmulatorTerm.
    Raises:
        EmagramError: physics has not exactly one term of this category; and as EmulatorTerm.
    """
    terms = [term for term in physics.terms if term.category == category]
    if len(terms) != 1:
        known = sorted({term.category for term in physics.terms})
        raise EmagramError(f"category '{category}': expected one term of jcm, got {len(terms)}, among {known}")
    return physics.replace(category, EmulatorTerm(path, category, replaced=terms[0], **options))


def _unfold(value: Any, field: Field) -> Any:
    """(size, n_column) or (n_column): jcm's horizontal axes as one."""
    return value.reshape(-1) if field.dimension == "column" else value.reshape(field.size, -1)


def _sort(outputs: Mapping[str, Any], horizontal: tuple[int, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outputs on jcm's axes: the components of its tendency, and everything else by name."""
    tendencies: dict[str, Any] = {}
    fluxes = {}
    for name, value in outputs.items():
        value = value.reshape(*value.shape[:-1], *horizontal)
        if name in TENDENCIES:
            component = TENDENCIES[name]
            tendencies[component] = tendencies[component] + value if component in tendencies else value
        else:
            fluxes[name] = value
    return tendencies, fluxes


def _check_share(share: float, replaced: Any | None) -> None:
    if not 0.0 <= share <= 1.0:
        raise EmagramError(f"share of the emulator: expected a number from 0 to 1, got {share}")
    if share < 1.0 and replaced is None:
        raise EmagramError(f"share of the emulator: expected a replaced term to blend with, got none for share {share}")


def _check_fields(model: Model, fields: Mapping[str, HostField], *, blended: bool) -> None:
    """Require that jcm has every input and, where it is blended, every output."""
    check_dimensions(model)
    for field in model.inputs:
        if field.name not in (*STATE, *ON_GRID, *fields):
            raise EmagramError(f"input '{field.name}': expected one that jcm has or `fields` tells where, got neither")
    tendencies = [TENDENCIES[field.name] for field in model.outputs if field.name in TENDENCIES]
    for field in model.outputs if blended else ():
        if field.name in TENDENCIES and tendencies.count(TENDENCIES[field.name]) == 1:
            continue
        if field.name in TENDENCIES or field.name not in fields:
            raise EmagramError(
                f"output '{field.name}': expected one that the replaced term of jcm has by itself, to blend with and "
                "to fall back to, got none"
            )


def _check_constants(model: Model) -> None:
    """A budget that closes with other constants than jcm's does not close in jcm."""
    for name, theirs in CONSTANTS.items() if model.budgets else ():
        expected, got = getattr(jcm_constants, theirs), model.manifest["constants"][name]
        if abs(got - expected) > 1e-9 * expected:
            raise EmagramError(f"model '{model.name}': expected jcm's {name} {expected}, got {got}")
