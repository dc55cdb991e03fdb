"""Dependencies between the folders point one way, and importing a module does nothing but import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("physics", "kernels", "emulators", "fortran_bridge", "hybrid")

# what the modules of a folder may import of the other folders
ALLOWED = {
    "physics": set(),
    "kernels": set(),
    "emulators": {"physics", "kernels"},
    "fortran_bridge": set(),
    "hybrid": set(FOLDERS),
}
# and single modules beyond that
ALLOWED_BEYOND = {"emulators.export": {"fortran_bridge"}}

# modules for hosts that are an extra, and what they cannot be imported without
EXTRA = {"hybrid.hosts.jcm": "jcm", "hybrid.hosts.jcm_wrapping": "jcm"}

# what stands alone must also run where little is installed
THIRD_PARTY = {"physics": {"numpy", "torch"}, "kernels": {"numpy", "torch", "triton"}}


def module_name(source: Path) -> str:
    parts = source.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(source): source
    for folder in FOLDERS
    for source in sorted((ROOT / folder).rglob("*.py"))
    if "examples" not in source.parts
}


def imports(module: str, source: Path) -> Iterator[str]:
    """Absolute names of what a module imports: `.physics.vertical` for ours, `torch` for others'."""
    package = module.split(".") if source.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield "." + ".".join([*base, node.module])
            else:
                yield from ("." + ".".join([*base, name.name]) for name in node.names)


def test_there_are_sources() -> None:
    assert {module.split(".")[0] for module in SOURCES} == set(FOLDERS)


def test_relative_imports_are_resolved(tmp_path: Path) -> None:
    """The scan itself sees every way of naming another folder."""
    source = tmp_path / "m.py"
    source.write_text(
        "from ..physics.vertical import x\nfrom .. import hybrid\nfrom . import a\nimport torch.nn\n"
        "def f():\n    from ..kernels import y\n"
    )
    found = set(imports("emulators.m", source))
    assert found == {".physics.vertical", ".hybrid", ".emulators.a", "torch.nn", ".kernels"}


@pytest.mark.parametrize("module", SOURCES)
def test_dependencies_point_one_way(module: str) -> None:
    folder = module.split(".")[0]
    allowed = ALLOWED[folder] | {folder}
    for name, beyond in ALLOWED_BEYOND.items():
        if module == name or module.startswith(name + "."):
            allowed |= beyond
    ours = {name.split(".")[1] for name in imports(module, SOURCES[module]) if name.startswith(".")}
    assert ours & set(FOLDERS) <= allowed


@pytest.mark.parametrize("module", SOURCES)
def test_sources_import_each_other_relatively(module: str) -> None:
    assert "emagram" not in {name.split(".")[0] for name in imports(module, SOURCES[module])}


@pytest.mark.parametrize("module", [m for m in SOURCES if m.split(".")[0] in THIRD_PARTY])
def test_what_stands_alone_needs_little(module: str) -> None:
    allowed = THIRD_PARTY[module.split(".")[0]] | sys.stdlib_module_names
    absolute = {name.split(".")[0] for name in imports(module, SOURCES[module]) if not name.startswith(".")}
    assert absolute <= allowed


IMPORT_WITHOUT = """
import importlib, sys
for name in ("netCDF4", "xarray", "mpi4py"):
    sys.modules[name] = None
for name in sys.argv[1:]:
    importlib.import_module(name)
"""

# A file or a variable of the environment counts as read by the package if one of its frames asks for it, through
# whatever calls, without an import in between: what a library does when it is imported is the library's affair.
IMPORT_WATCHED = """
import importlib, os, sys
import torch

CODE = (".py", ".pyc", ".so", ".pyi")
found = []

package = sys.argv[1].split(".")[0]

def asking_module():
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return None
        if frame.f_globals.get("__name__", "").split(".")[0] == package:
            return frame.f_globals["__name__"]
        frame = frame.f_back
    return None

def watch(event, arguments):
    if event == "open" and not str(arguments[0]).endswith(CODE):
        module = asking_module()
        if module:
            found.append(f"{module} opens {arguments[0]}")

class Watched(type(os.environ)):
    def __getitem__(self, key):
        module = asking_module()
        if module:
            found.append(f"{module} reads ${key}")
        return super().__getitem__(key)

os.environ.__class__ = Watched
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
if "mpi4py.MPI" in sys.modules:
    found.append("mpi4py.MPI is imported, which initialises MPI")
if torch.cuda.is_initialized():
    found.append("CUDA is initialised")
print("\\n".join(found), end="")
"""


def run(program: str, modules: list[str]) -> str:
    done = subprocess.run([sys.executable, "-c", program, *modules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_physics_and_kernels_import_without_netcdf_xarray_or_mpi() -> None:
    run(IMPORT_WITHOUT, [f"emagram.{module}" for module in SOURCES if module.split(".")[0] in THIRD_PARTY])


def test_importing_reads_no_file_and_no_environment_and_starts_nothing() -> None:
    importable = [f"emagram.{module}" for module in SOURCES if module not in EXTRA or find_spec(EXTRA[module])]
    assert run(IMPORT_WATCHED, importable) == ""


def test_the_watch_sees_files_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "careless"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "bad.py").write_text("import os\nopen(__file__[:-6] + 'data.txt').read()\nos.environ.get('HOME')\n")
    (package / "data.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    found = run(IMPORT_WATCHED, ["careless.bad"])
    assert "careless.bad opens" in found
    assert "careless.bad reads $HOME" in found
