"""What cmake/setup.sh says to a user who may not install system packages."""

import os
import subprocess
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "cmake" / "setup.sh"


def stub(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"} | environment
    return subprocess.run(["sh", SETUP], cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_without_rights_one_sentence_names_packages_and_command(tmp_path: Path) -> None:
    stub(tmp_path, "id", "echo 1000")
    stub(tmp_path, "sudo", "exit 1")
    stub(tmp_path, "dpkg", "exit 1")
    stub(tmp_path, "apt-get", "touch called; exit 1")
    done = run(tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "run: sudo apt-get install gfortran openmpi-bin" in done.stderr
    assert not (tmp_path / "called").exists()
    assert not (tmp_path / ".venv").exists()


def test_an_old_or_missing_python_is_named(tmp_path: Path) -> None:
    stub(tmp_path, "python-old", 'case "$1" in -V) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    done = run(tmp_path, PYTHON="python-old")
    assert (done.returncode, "expected Python 3.11 or newer, got Python 3.9.2" in done.stderr) == (1, True)
    done = run(tmp_path, PYTHON="python-none")
    assert (done.returncode, "no python-none" in done.stderr) == (1, True)
