#!/bin/sh
# Everything that `make` needs, once: system packages, .venv with a CPU torch, Emagram itself.
# Run by the Makefile from the top of the checkout. PYTHON names another interpreter than python3.
set -eu

system_packages="gfortran openmpi-bin libopenmpi-dev libnetcdff-dev libnetcdf-dev pkg-config nlohmann-json3-dev"
torch="torch==2.13.0" # pinned and first: an open range would pull several GB of CUDA packages
torch_index="https://download.pytorch.org/whl/cpu"
build_tools="scikit-build-core==1.1.2 pybind11==3.1.0 cmake==4.4.4 ninja numpy==2.4.6 f90wrap==0.3.0 setuptools"
python="${PYTHON:-python3}"

die() {
  echo "emagram: $*" >&2
  exit 1
}

# $1 installed, or installable, or one sentence.
install_system_packages() {
  [ -n "$*" ] || return 0
  if ! command -v apt-get >/dev/null; then
    die "missing: $*; install what provides them on this system, then run make again"
  elif [ "$(id -u)" = 0 ]; then
    root=""
  elif sudo -n true 2>/dev/null; then
    root="sudo"
  else
    die "missing system packages, run: sudo apt-get install $*"
  fi
  echo "installing $*"
  $root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing() {
  for package in $system_packages; do
    dpkg -s "$package" >/dev/null 2>&1 || printf '%s ' "$package"
  done
  # Debian splits the interpreter's own venv and headers off; other interpreters bring them.
  case "$(command -v "$python")" in
    /usr/bin/*) for package in python3-venv python3-dev; do
      dpkg -s "$package" >/dev/null 2>&1 || printf '%s ' "$package"
    done ;;
  esac
}

have_without_dpkg() {
  command -v gfortran >/dev/null && command -v mpicc >/dev/null && command -v nf-config >/dev/null
}

command -v "$python" >/dev/null || die "no $python; install Python 3.11 or name another with PYTHON=…"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "expected Python 3.11 or newer, got $("$python" -V); name another with PYTHON=…"
if command -v dpkg >/dev/null; then
  # shellcheck disable=SC2046
  install_system_packages $(missing)
elif ! have_without_dpkg; then
  install_system_packages "gfortran mpicc nf-config"
fi

pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }

# An environment that was moved, or whose making was interrupted, is made anew; so are builds that know the old path.
if ! .venv/bin/python -c "import os, pip, sys; sys.exit(not os.path.samefile(sys.prefix, '.venv'))" 2>/dev/null ||
  [ "$(cat .venv/.home 2>/dev/null)" != "$PWD" ]; then
  rm -rf .venv build
  "$python" -m venv .venv
  pwd >.venv/.home
fi

# The CPU build: from a local wheel if pip knows one, from PyTorch's own index, or (where only that is left) from the
# default index.
.venv/bin/python -c 'import torch' 2>/dev/null ||
  pip install "$torch+cpu" 2>/dev/null ||
  pip install --index-url "$torch_index" "$torch" 2>/dev/null ||
  pip install "$torch"
# shellcheck disable=SC2086
pip install $build_tools
echo "building emagram"
PATH="$PWD/.venv/bin:$PATH" pip install --no-build-isolation -e ".[test]"
