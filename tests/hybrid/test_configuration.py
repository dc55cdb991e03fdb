from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from commands import ROOT
from emagram.emulators.climsim_study_config import ClimsimStudyConfig
from emagram.emulators.data.noleap import seconds_of
from emagram.hybrid.case import CaseConfig
from emagram.hybrid.configuration import build, read_configuration, read_table
from emagram.hybrid.ensembles.config import read_ensemble
from emagram.hybrid.verbs import read_study
from emagram.physics.errors import EmagramError


@dataclass(frozen=True)
class Part:
    size: int
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Whole:
    part: Part
    names: tuple[str, ...] = ()
    folder: Path | None = None
    quick: bool = False
    others: dict[str, str] = field(default_factory=dict, init=False)


def test_reads_tables_lists_paths_and_whole_numbers_as_floats(tmp_path: Path) -> None:
    path = tmp_path / "a case.toml"
    path.write_text('names = ["x", "y"]\nfolder = "some where"\n[part]\nsize = 3\nrate = 2\nkind = "b"\n')
    assert read_configuration(path, Whole) == Whole(Part(3, 2.0, "b"), ("x", "y"), Path("some where"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"part": {"size": 1}, "nmaes": []}, "unknown key 'nmaes'; did you mean 'names'?"),
        ({"part": {"size": 1, "raet": 1.0}}, "unknown key 'raet'; did you mean 'rate'?"),
        ({"part": {"size": 1}, "others": {}}, "unknown key 'others'"),
        ({}, "expected key 'part', got none"),
        ({"part": {}}, "expected key 'size', got none"),
        ({"part": {"size": "3"}}, "expected int, got '3'"),
        ({"part": {"size": True}}, "expected int, got True"),
        ({"part": {"size": 1, "rate": "fast"}}, "expected float, got 'fast'"),
        ({"part": {"size": 1, "kind": "c"}}, r"expected one of \['a', 'b'\], got 'c'"),
        ({"part": 3}, "expected a table, got 3"),
        ({"part": {"size": 1}, "names": "x"}, "expected a list, got 'x'"),
        ({"part": {"size": 1}, "folder": 3}, "expected .*Path, got 3"),
    ],
)
def test_wrong_tables_are_one_sentence(table: dict, message: str) -> None:
    with pytest.raises(EmagramError, match=message):
        build(Whole, table, "case.toml")


@pytest.mark.parametrize("text", [None, "a = ", b"\xff"])
def test_unreadable_files_are_named(tmp_path: Path, text: str | bytes | None) -> None:
    path = tmp_path / "case.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(EmagramError, match=r"case\.toml"):
        read_configuration(path, Whole)


def test_paths_expand_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_FOLDER", "/a b")
    assert build(Whole, {"part": {"size": 1}, "folder": "$SOME_FOLDER/c"}, "case").folder == Path("/a b/c")
    monkeypatch.delenv("SOME_FOLDER")
    with pytest.raises(EmagramError, match="needs the environment variable SOME_FOLDER"):
        build(Whole, {"part": {"size": 1}, "folder": "$SOME_FOLDER/c"}, "case")


def test_null_stands_for_none_where_that_is_allowed() -> None:
    """A run folder keeps its configuration as JSON, with every default written out."""
    assert build(Whole, {"part": {"size": 1}, "folder": None}, "run.json").folder is None
    with pytest.raises(EmagramError, match="expected bool, got None"):
        build(Whole, {"part": {"size": 1}, "quick": None}, "run.json")


@dataclass(frozen=True)
class Square:
    side: float
    kind: Literal["square"] = "square"


@dataclass(frozen=True)
class Circle:
    radius: float
    kind: Literal["circle"] = "circle"


@dataclass(frozen=True)
class Drawing:
    shape: Square | Circle | None = None


def test_alternatives_are_told_apart_by_their_kind() -> None:
    assert build(Drawing, {"shape": {"kind": "circle", "radius": 2}}, "case").shape == Circle(2.0)
    assert build(Drawing, {"shape": None}, "case").shape is None
    for wrong in ({"radius": 2.0}, {"kind": "cube"}, {"kind": ["circle"]}, {"kind": {}}, {"kind": 1}, 3):
        with pytest.raises(EmagramError, match=r"'shape': expected a table with 'kind' one of \['square', 'circle'\]"):
            build(Drawing, {"shape": wrong}, "case")
    with pytest.raises(EmagramError, match="unknown key 'side'; did you mean"):
        build(Drawing, {"shape": {"kind": "circle", "side": 2.0}}, "case")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_every_committed_configuration_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAGRAM_DATA", "somewhere")
    table = read_table(path)
    if "configurations" in table:
        assert read_ensemble(path).members()
    elif "task" in table:
        assert read_study(path).name
    else:
        assert read_configuration(path, CaseConfig).name


def test_the_study_of_columns_reads_what_their_cases_record() -> None:
    study = read_study(ROOT / "configs" / "columns-study.toml")
    assert isinstance(study, ClimsimStudyConfig)
    for name, folder in (("columns", study.records.folder), ("columns-4k", study.heldout[0].folder)):
        case = read_configuration(ROOT / "configs" / f"{name}.toml", CaseConfig)
        assert folder == Path("runs") / case.name / "columns"
        assert case.record.every > 0
        first, last = case.record.from_day, case.days
        parts = [study.records.train, study.records.test] if name == "columns" else [study.heldout[0].part]
        for part in parts:
            assert first <= seconds_of(part.start) // 86400 < last
            assert seconds_of(part.stop) // 86400 < last
