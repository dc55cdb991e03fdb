"""The examples in the public functions' docstrings."""

import doctest
from pathlib import Path

import pytest

import emagram
from emagram.emulators.data.generated import generate_columns
from emagram.emulators.emulator import to_fields
from emagram.emulators.export import load_emulator
from emagram.fortran_bridge.model import Model
from host_case import small_case

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = {
    "open": emagram.open,
    "predict": Model.predict,
    "budget": Model.budget,
    "ledger": Model.ledger,
    "train": emagram.train,
    "evaluate": emagram.evaluate,
    "export": emagram.export,
    "run": emagram.run,
}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the examples take for granted: a short configuration, the model file it trains, and columns."""
    folder = tmp_path_factory.mktemp("examples")
    config = folder / "short.toml"
    text = (ROOT / "configs" / "generated-quick.toml").read_text()
    config.write_text(text.replace("epochs = 12", "epochs = 2").replace("n_site = 100", "n_site = 20"))
    model_file = emagram.train(config, folder / "first") / "best.emg"
    return {
        "emagram": emagram,
        "export": emagram.export,
        "load_emulator": load_emulator,
        "to_fields": to_fields,
        "config": config,
        "output": folder / "first",
        "case": small_case(days=1),
        "run_folder": folder / "columns",
        "model_file": model_file,
        "columns": generate_columns(20, seed=3),
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(names: dict[str, object], name: str) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(EXAMPLES[name], name, globs=dict(names))
    assert example.examples
    failures: list[str] = []
    doctest.DocTestRunner().run(example, out=failures.append)
    assert not failures, "".join(failures)
