"""Figures of the report with captions that say what is shown and what to look for."""

from __future__ import annotations

from ..markup import figure, fixed, text
from .figures import TOP_SHOWN, draw_closure, draw_fluxes, draw_profiles, heating_profile, shown_columns
from .results import SPECTRA, Results

SVG = "image/svg+xml"


def profiles_figure(results: Results) -> str:
    """Heating rates against pressure."""
    group = results.groups[0]
    lowest = heating_profile(results, group, "longwave")
    truth, predicted, error, spread = (
        fixed(float(values[-1]), 1) for values in (lowest.truth, lowest.predicted, lowest.error, lowest.spread)
    )
    pictures = {
        f"Profiles of mean {spectrum} heating, true and predicted, and of its error, against pressure": (
            SVG,
            draw_profiles(results, spectrum),
        )
        for spectrum in SPECTRA
    }
    caption = (
        f"Heating rates of the columns that the Fortran program predicted with the exported model: "
        f"{_numbers(results, 'longwave')}, night included. Each level is averaged over the columns with the weights "
        f"of their sites and drawn at its mean pressure; air above {TOP_SHOWN:g} hPa is left out, scores count "
        "below the line at 100 hPa. Look for dashed lines that leave the solid ones (bias), and for errors that come "
        "near the spread of the truth, where the emulator knows little more than the mean. The lowest layer may leave "
        f"the picture: in {group.title} its mean longwave heating is {truth} K day⁻¹ (emulator {predicted}), its error "
        f"{error} and its spread {spread} K day⁻¹."
    )
    return figure(1, pictures, caption)


def fluxes_figure(results: Results) -> str:
    """Predicted against true fluxes."""
    pictures = {
        f"Predicted against true {spectrum} fluxes at the top and at the surface": (SVG, draw_fluxes(results, spectrum))
        for spectrum in SPECTRA
    }
    caption = (
        f"Fluxes at the top and at the surface, one point a column: {_numbers(results, 'longwave')} in the longwave; "
        f"by day {_numbers(results, 'shortwave')} in the shortwave. A perfect emulator lies on the line. Columns of "
        "one site form a cluster, since climates change a site less than sites differ: count clusters, not points."
    )
    return figure(2, pictures, caption)


def closure_figure(results: Results) -> str:
    """Residuals of the column energy."""
    pictures = {
        f"Histogram of the {spectrum} energy residuals of the columns, far below the limit and below the largest one "
        "without the constraint": (SVG, draw_closure(results, spectrum))
        for spectrum in SPECTRA
    }
    caption = (
        f"Residuals of the energy of single columns: {_numbers(results, 'longwave')} in the longwave; "
        f"by day {_numbers(results, 'shortwave')} in the shortwave, which is 0 at night. The bar at 0 holds residuals "
        "of exactly 0. All bars must lie left of the dotted limit; the dashed line is the largest residual of the same "
        "network without its constraint."
    )
    return figure(3, pictures, caption)


def training_figure(results: Results) -> str:
    """Loss of every seed."""
    best = results.summary["best"]
    pictures = {
        "Training and validation loss against epoch for every feature set and seed": ("image/png", results.loss_png)
    }
    caption = (
        f"Loss of every seed by epoch. The exported network has {text(best['features'].replace('_', '-'))} inputs and "
        f"seed {text(best['seed'])}, the smallest validation loss ({fixed(best['validation_loss'], 3)}). Validation "
        "columns come from sites that neither train nor test, in training climates. Look for solid lines that stop "
        "falling while dashed ones go on: the network then learns its sites by heart."
    )
    return figure(4, pictures, caption)


def _numbers(results: Results, spectrum: str) -> str:
    """How many columns each group shows."""
    return " and ".join(
        f"{shown_columns(results, group, spectrum).size} columns ({group.title})" for group in results.groups
    )
