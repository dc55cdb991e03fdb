"""Column budgets of the Fortran column physics, for numpy arrays; the twin of physics/budgets.py."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from .call import Array, call, column_shapes


class ColumnBudget(NamedTuple):
    """What a column gains."""

    energy_rate: Array  # [W m-2] (n_column,)
    water_rate: Array  # [kg m-2 s-1] (n_column,)


class ColumnTotals(NamedTuple):
    """What a column holds."""

    energy: Array  # [J m-2] (n_column,)
    water: Array  # [kg m-2] (n_column,)


def column_budget(
    pressure_interface: ArrayLike,
    *,
    time_step: float,
    eastward_wind: ArrayLike,
    northward_wind: ArrayLike,
    rate_temperature: ArrayLike,
    rate_humidity: ArrayLike,
    rate_liquid: ArrayLike,
    rate_ice: ArrayLike,
    rate_eastward_wind: ArrayLike,
    rate_northward_wind: ArrayLike,
) -> ColumnBudget:
    """Σ_k (cp Ṫ + (Lv+Lf) q̇v + Lf q̇l + K̇)_k Δp_k/g and Σ_k (q̇v + q̇l + q̇i)_k Δp_k/g, compensated sums, with
    K̇ = ((u + u̇ Δt)² − u² + (v + v̇ Δt)² − v²) / (2 Δt).

    Args:
        pressure_interface: [Pa] (n_column, n_level + 1).
        time_step: Δt [s].
        eastward_wind, northward_wind: [m s-1] (n_column, n_level), before the step.
        rate_temperature, rate_humidity, rate_liquid, rate_ice, rate_eastward_wind, rate_northward_wind: [K s-1],
            [kg kg-1 s-1], [m s-2] (n_column, n_level).
    Raises:
        EmagramError: if shapes differ or a value is not finite.
    """
    _, _, columns = column_shapes(pressure_interface)
    return ColumnBudget(
        *call(
            "budgets",
            "column_budget",
            time_step,
            pressure_interface,
            eastward_wind,
            northward_wind,
            rate_temperature,
            rate_humidity,
            rate_liquid,
            rate_ice,
            rate_eastward_wind,
            rate_northward_wind,
            results=[columns, columns],
        )
    )


def column_totals(
    pressure_interface: ArrayLike,
    *,
    air_temperature: ArrayLike,
    specific_humidity: ArrayLike,
    cloud_liquid: ArrayLike,
    cloud_ice: ArrayLike,
    eastward_wind: ArrayLike,
    northward_wind: ArrayLike,
) -> ColumnTotals:
    """Σ_k (cp T + (Lv+Lf) qv + Lf ql + ½(u² + v²))_k Δp_k/g and Σ_k (qv + ql + qi)_k Δp_k/g.

    Args:
        pressure_interface: [Pa] (n_column, n_level + 1).
        air_temperature, specific_humidity, cloud_liquid, cloud_ice, eastward_wind, northward_wind: [K], [kg kg-1],
            [m s-1] (n_column, n_level).
    Raises:
        EmagramError: if shapes differ or a value is not finite.
    """
    _, _, columns = column_shapes(pressure_interface)
    return ColumnTotals(
        *call(
            "budgets",
            "column_totals",
            pressure_interface,
            air_temperature,
            specific_humidity,
            cloud_liquid,
            cloud_ice,
            eastward_wind,
            northward_wind,
            results=[columns, columns],
        )
    )
