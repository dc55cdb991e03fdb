"""The page on laws runs as it stands there."""

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "physics" / "LAWS.md"


def test_the_lines_of_the_page_run(tmp_path: Path) -> None:
    text = "\n".join(re.findall(r"```pycon\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    example = doctest.DocTestParser().get_doctest(text, {"folder": tmp_path}, "LAWS.md", str(PAGE), 0)
    assert len(example.examples) > 20
    failures: list[str] = []
    doctest.DocTestRunner().run(example, out=failures.append)
    assert not failures, "".join(failures)
    assert (tmp_path / "radiation.emg").is_file()
