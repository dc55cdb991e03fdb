"""Pictures of a judgement: what there is to draw is drawn, the same every time, with units and the right way up."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from emagram.hybrid.judging import PICTURES, Judgement, draw, drawable, judge, write_pictures
from emagram.physics.errors import EmagramError
from judged_runs import EMULATOR, GRID, Fields, made_up_run, write_timers


def edit(fields: Fields) -> None:
    fields["air_temperature"] += 0.02 * GRID.latitude
    fields["emulator_share"][1:] = 1.0
    fields["emulator_rejected"][2, :9] = 0.5
    fields["air_temperature_tendency_magnitude"][1:] = 2e-5
    fields["air_temperature_correction"][1:] = 1e-7
    fields["emulated_steps_by_regime"][1:] = 0.25
    fields["heating_correction_by_regime"][1:] = 1.0
    fields["heating_tendency_by_regime"][1:] = 50.0
    fields["residual_before_column_energy_by_regime"][1:] = 3.0
    fields["residual_before_column_water_by_regime"][1:] = 1e-6


@pytest.fixture(scope="module")
def judgement(tmp_path_factory: pytest.TempPathFactory) -> Judgement:
    folder = tmp_path_factory.mktemp("runs")
    run = made_up_run(folder / "run", edit, physics=EMULATOR | {"spin_up_days": 1})
    write_timers(run / "timers.csv", {"longwave": 1.0, "emulator": 1.0, "constraints": 0.5, "files": 0.5}, 4 * 72 * 54)
    return judge(run, made_up_run(folder / "control"), [made_up_run(folder / f"replica{i}", seed=i) for i in (1, 2)])


def drawn(judgement: Judgement, name: str) -> Figure:
    figure = Figure(layout="constrained")
    PICTURES[name].draw(figure, judgement)
    figure.draw_without_rendering()
    return figure


def test_everything_is_drawn_of_a_whole_judgement(judgement: Judgement) -> None:
    assert drawable(judgement) == list(PICTURES)


@pytest.mark.parametrize("name", list(PICTURES))
def test_pictures_are_the_same_every_time_and_leave_no_style(judgement: Judgement, name: str) -> None:
    before = dict(matplotlib.rcParams)
    picture = draw(judgement, name)
    assert picture.startswith(b"<?xml")
    assert picture == draw(judgement, name)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", list(PICTURES))
def test_axes_have_units_and_values_are_shown(judgement: Judgement, name: str) -> None:
    figure = drawn(judgement, name)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    lowest = [axes for axes in panels if axes.get_xlabel()]
    assert lowest
    for axes in lowest:
        label = axes.get_xlabel() + axes.get_ylabel() + axes.get_title()
        assert "[" in label or "day" in label, label
    for axes in panels:
        assert axes.has_data()
        if "pressure" in axes.get_ylabel():
            bottom, top = axes.get_ylim()
            assert bottom > top


def test_bias_is_coloured_about_zero(judgement: Judgement) -> None:
    panels = [axes for axes in drawn(judgement, "zonal-bias").axes if axes.get_label() != "<colorbar>"]
    maps = [mesh for axes in panels for mesh in axes.collections if isinstance(mesh, QuadMesh)]
    assert len(maps) == 4
    for mesh in maps:
        assert mesh.get_cmap().name == "RdBu_r"
        assert mesh.norm.vmin == -mesh.norm.vmax
    warm = maps[0].get_array()
    assert warm[:, -1].min() > 0.5 > -0.5 > warm[:, 0].max()


def test_replicas_are_told_apart(judgement: Judgement) -> None:
    labels = [text.get_text() for text in drawn(judgement, "error-growth").legends[0].get_texts()]
    assert labels == ["emulator", "other seed 1", "other seed 2"]


def test_a_conventional_pair_has_no_picture_of_interventions(tmp_path: Path) -> None:
    control = made_up_run(tmp_path / "control", n_record=1)
    judgement = judge(control, control)
    paths = write_pictures(judgement, tmp_path / "pictures")
    of_emulators = ("interventions", "corrections", "regimes")
    assert [path.stem for path in paths] == [name for name in PICTURES if name not in of_emulators]
    assert all(path.read_bytes().startswith(b"<?xml") for path in paths)
    with pytest.raises(EmagramError, match=r"picture: expected one of .*, got 'interventions'"):
        draw(judgement, "interventions")


def test_png_is_written_as_well(judgement: Judgement) -> None:
    assert draw(judgement, "speed", "png").startswith(b"\x89PNG")


def test_nothing_rejected_is_drawn_as_nothing(tmp_path: Path) -> None:
    run, control = made_up_run(tmp_path / "run", physics=EMULATOR), made_up_run(tmp_path / "control")
    axes = drawn(judge(run, control), "interventions").axes
    assert axes[0].get_ylim() == (0.0, 1.0)
    assert np.concatenate([line.get_ydata() for line in axes[1].lines]).max() == 0.0
