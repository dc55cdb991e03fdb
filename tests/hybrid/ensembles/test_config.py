"""Ensembles from TOML: what is merged, and what is refused with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from emagram.hybrid.case import BuiltInGridConfig, DailyMeanSunConfig
from emagram.hybrid.ensembles.config import merge, read_ensemble
from emagram.physics.errors import EmagramError

BASE = """
history_days = 2
restart_days = 2
grid = {source = "built_in", n_column = 1, n_level = 20}
sun = {source = "fixed", insolation = 300.0}
forcing = {n_mode = 2, heating = 1.0}
parameters = {convection = {relaxation_time = 7000.0}}
"""
TEXT = f"""
name = "e"
days = 4
from_day = 2
seeds = 2
[case]{BASE}
[[configurations]]
name = "a"
[[configurations]]
name = "b"
seeds = [7, 5]
sun = {{source = "daily_mean"}}
forcing.heating = 2
parameters.convection.detrained_share = 0.1
[[configurations]]
name = "c"
first_seed = 3
"""


CASE_FILE = 'seeds = 2\ncase = "case.toml"'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "e.toml"
    path.write_text(text)
    return path


def test_members_are_seeds_times_configurations(tmp_path: Path) -> None:
    config = read_ensemble(written(tmp_path, TEXT))
    assert [member.name for member in config.members()] == ["a-0", "a-1", "b-7", "b-5", "c-3", "c-4"]
    a, b = config.members()[0].case, config.members()[2].case
    assert (a.seed, b.seed, a.days, b.days) == (0, 7, 4, 4)
    assert len({member.case.name for member in config.members()}) == 6
    assert a.grid == b.grid == BuiltInGridConfig("built_in", 1, 20)
    assert b.sun == DailyMeanSunConfig("daily_mean")  # and nothing of the other kind of sun
    assert (b.forcing.heating, b.forcing.n_mode) == (2.0, 2)
    assert b.parameters == {"convection": {"relaxation_time": 7000.0, "detrained_share": 0.1}}
    assert a.parameters == {"convection": {"relaxation_time": 7000.0}}


def test_a_base_case_in_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("case.toml").write_text(f'name = "x"\ndays = 30\nseed = 9\n{BASE}')
    inside = read_ensemble(written(tmp_path, TEXT))
    outside = read_ensemble(written(tmp_path, TEXT.replace(f"[case]{BASE}", "").replace("seeds = 2", CASE_FILE, 1)))
    assert outside == inside


def test_tables_of_another_kind_are_replaced() -> None:
    base = {"physics": {"source": "emulator", "model": "a.emg", "ramp": {"kind": "linear", "days": 5}}, "n": 1}
    assert merge(base, {"physics": {"model": "b.emg"}})["physics"] == base["physics"] | {"model": "b.emg"}
    assert merge(base, {"physics": {"source": "conventional"}})["physics"] == {"source": "conventional"}
    ramp = merge(base, {"physics": {"ramp": {"kind": "step"}}})["physics"]
    assert ramp == {"source": "emulator", "model": "a.emg", "ramp": {"kind": "step"}}
    assert merge({}, {"physics": {"source": "emulator"}}) == {"physics": {"source": "emulator"}}
    assert base["physics"] == {"source": "emulator", "model": "a.emg", "ramp": {"kind": "linear", "days": 5}}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "forcing.heating = 2",
            "forcing.heatin = 2",
            r"configuration 'b' 'forcing': unknown key 'heatin'; .* 'heating'",
        ),
        (
            "forcing.heating = 2",
            "forcin.heating = 2",
            r"configuration 'b': unknown key 'forcin'; did you mean 'forcing'",
        ),
        ("detrained_share", "detrained_shar", "unknown name 'detrained_shar'; did you mean 'detrained_share'"),
        ("forcing.heating = 2", "seed = 2", "configuration 'b': expected no 'seed', which the ensemble sets"),
        ("forcing.heating = 2", "days = 2", "configuration 'b': expected no 'days', which the ensemble sets"),
        ('name = "b"', 'name = "a"', "expected one configuration 'a', got 2"),
        ('name = "b"', "", "expected a 'name' of configuration 2, got None"),
        ('name = "b"', 'name = "../b"', r"expected letters, digits and _ \. -, got '../b'"),
        ("seeds = 2", "seeds = 0", "expected 'seeds', a number above 0 or a list of numbers, got 0"),
        ("seeds = 2", "seeds = true", "expected 'seeds', a number above 0"),
        ("seeds = 2", "", "configuration 'a': expected 'seeds', .* got None"),
        ("seeds = [7, 5]", "seeds = []", r"configuration 'b': expected 'seeds', .* got \[\]"),
        ("seeds = [7, 5]", "seeds = [7, 7]", r"'b': expected different seeds of at least 0, got \[7, 7\]"),
        ("seeds = [7, 5]", "seeds = [-1]", r"expected different seeds of at least 0, got \[-1\]"),
        ("first_seed = 3", "first_seed = -3", "expected 'first_seed', a number of at least 0, got -3"),
        ("days = 4", "days = 3", r"'history_days': expected a divisor of 'days' \(3\), got 2"),
        ("from_day = 2", "from_day = 1", r"'from_day' to be a multiple of 'history_days' \(2\) of 'a', got 1"),
        ("from_day = 2", "from_day = 4", "expected 'from_day' from 0 to below 4 days, got 4"),
        ("from_day = 2", "from_dya = 2", "unknown key 'from_dya'; did you mean 'from_day'"),
        ("from_day = 2", "resampling_seed = -2", "expected 'resampling_seed' of at least 0, got -2"),
        ("days = 4", "", "expected key 'days', got none"),
        (TEXT[TEXT.index("[[") :], "", r"expected at least one of \[\[configurations\]\], got none"),
        (f"[case]{BASE}", "", "expected key 'case', got none"),
    ],
)
def test_wrong_ensembles_are_one_sentence(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(EmagramError, match=message) as error:
        read_ensemble(written(tmp_path, TEXT.replace(old, new, 1)))
    assert "\n" not in str(error.value)


def test_a_case_that_is_no_case(tmp_path: Path) -> None:
    text = TEXT.replace(f"[case]{BASE}", "")
    with pytest.raises(EmagramError, match="'case': expected a path or a table, got 3"):
        read_ensemble(written(tmp_path, text.replace("seeds = 2", "seeds = 2\ncase = 3", 1)))
    with pytest.raises(EmagramError, match=r"none\.toml': expected a readable file"):
        read_ensemble(written(tmp_path, text.replace("seeds = 2", 'seeds = 2\ncase = "none.toml"', 1)))
