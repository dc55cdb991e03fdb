"""The pictures of a judgement, by name: what is drawn, how large, and what it says to those who do not see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from ...emulators.atomic import write_atomically
from ...physics.errors import EmagramError
from . import climate_figures, correction_figures, process_figures
from .drawing import Form, render
from .judgement import Judgement


@dataclass(frozen=True)
class Picture:
    """A picture that can be drawn of a judgement.

    Attributes:
        alternative: text for those who do not see it.
        draw: onto a figure.
        size: [inch] width and height.
        needs: attributes of the judgement without which there is nothing to draw.
    """

    alternative: str
    draw: Callable[[Figure, Judgement], None]
    size: tuple[float, float]
    needs: tuple[str, ...]


PICTURES = {
    "scores": Picture(
        "Error of every variable over its spread, of the run and of the floors",
        climate_figures.scores,
        (7.2, 4.2),
        ("climate",),
    ),
    "time-series": Picture(
        "Global means of temperature, column water, precipitation and outgoing longwave by day",
        climate_figures.time_series,
        (7.2, 4.6),
        ("climate", "conservation"),
    ),
    "zonal-bias": Picture(
        "Bias of temperature, humidity and clouds against latitude and pressure",
        climate_figures.zonal_bias,
        (7.2, 5.4),
        ("climate",),
    ),
    "level-profiles": Picture(
        "Bias and root-mean-square error of temperature and humidity against pressure",
        climate_figures.level_profiles,
        (7.2, 6.0),
        ("climate",),
    ),
    "precipitation": Picture(
        "How often which amount of precipitation falls, in both runs",
        process_figures.precipitation,
        (7.2, 3.1),
        ("precipitation",),
    ),
    "conservation": Picture(
        "Energy of the columns by day, its drift against the conventional run, and residuals of energy",
        process_figures.conservation,
        (9.0, 3.1),
        ("conservation",),
    ),
    "error-growth": Picture(
        "Error of temperature and humidity by day since the runs parted, of the run and of the replicas",
        climate_figures.error_growth,
        (7.2, 3.3),
        ("growth",),
    ),
    "interventions": Picture(
        "Rejected and extrapolated columns by latitude and day, and corrections beside tendencies by pressure",
        process_figures.interventions,
        (7.2, 5.4),
        ("interventions",),
    ),
    "corrections": Picture(
        "Mean change of heating and moistening by the constraints, and its share, by latitude and pressure",
        correction_figures.corrections,
        (7.2, 5.4),
        ("corrections",),
    ),
    "regimes": Picture(
        "Changes by the constraints over tendencies, and residuals before them, by sun, rain, surface and latitude",
        correction_figures.regimes,
        (9.0, 3.9),
        ("corrections",),
    ),
    "speed": Picture("Time of a step by part, of both runs", process_figures.speed, (7.2, 2.4), ()),
}


def drawable(judgement: Judgement) -> list[str]:
    """Names of the pictures that there is something to draw of."""
    names = [name for name, picture in PICTURES.items() if all(getattr(judgement, need) for need in picture.needs)]
    timed = judgement.speed.run is not None or judgement.speed.against is not None
    enforced = judgement.corrections is not None and judgement.corrections.enforced
    left_out = {name for name, there in (("speed", timed), ("corrections", enforced)) if not there}
    return [name for name in names if name not in left_out]


def draw(judgement: Judgement, name: str, form: Form = "svg") -> bytes:
    """A picture of PICTURES as SVG or PNG.

    Raises:
        EmagramError: if there is no such picture of this judgement.
    """
    if name not in drawable(judgement):
        raise EmagramError(f"picture: expected one of {drawable(judgement)}, got '{name}'")
    picture = PICTURES[name]
    return render(lambda figure: picture.draw(figure, judgement), picture.size, form)


def write_pictures(judgement: Judgement, folder: Path) -> list[Path]:
    """Write all pictures of a judgement as SVG into a folder.

    Returns:
        their paths.
    Raises:
        OSError: if the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.svg" for name in drawable(judgement)]
    for path in paths:
        write_atomically(path, draw(judgement, path.stem))
    return paths
