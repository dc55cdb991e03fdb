"""Running other programs from tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CMAKE = shutil.which("cmake", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "cmake"
"""The one beside this Python, or the system's."""


def run(command: list[str | Path], **options: object) -> str:
    """Standard output of a command that must succeed; its whole output is in the failure otherwise."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return str(done.stdout)


def install(build: Path, prefix: Path, *options: str) -> Path:
    """Build the library without Python and install it; only what changed is built again."""
    run(
        [CMAKE, "-S", ROOT / "cmake", "-B", build, "-DEMAGRAM_PYTHON=OFF", f"-DCMAKE_INSTALL_PREFIX={prefix}", *options]
    )
    run([CMAKE, "--build", build, "-j2"])
    run([CMAKE, "--install", build])
    return prefix
