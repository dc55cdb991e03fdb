# make demo · make test: each sets up what it needs, once.
SHELL := /bin/sh
python := .venv/bin/python
folders := physics kernels emulators fortran_bridge hybrid
cxx := $(shell find fortran_bridge tests -name '*.[ch]pp' -o -name '*.[ch]' -o -name '*.inc' -path '*/src/*')
fortran := $(shell find physics fortran_bridge hybrid tests -name '*.[fF]90')
native := $(cxx) $(fortran) $(shell find cmake physics/fortran fortran_bridge/fortran -type f -not -name '*.md')

# Open MPI refuses to run as root, and to run more ranks than cores, unless told; tests and demo tell it.
mpi := OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1

.PHONY: demo test test-long bench bench-peers lint format clean

demo: .venv/.ready
	$(mpi) $(python) -m emagram demo $(DEMO)

test: .venv/.ready
	$(mpi) $(python) -m pytest $(PYTEST)

test-long: .venv/.ready .venv/.jcm
	$(mpi) $(python) -m pytest -m long $(PYTEST)

# make bench BENCH="loader --quick": one benchmark with its options; without, all of them.
benches := loader host constraints
bench: bench-peers
	$(if $(BENCH),$(python) -m emagram bench $(BENCH),$(foreach name,$(benches),$(python) -m emagram bench $(name) &&) true)

# Extras of pyproject.toml: peers that are only compared with, and jcm, a second host (1.3 GB).
bench-peers: .venv/.peers
.venv/.peers .venv/.jcm: .venv/.%: .venv/.ready
	$(python) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['$*'])" \
	| xargs $(python) -m pip --disable-pip-version-check --quiet install
	@touch $@

# A checkout that was moved is set up anew.
ifneq ($(shell cat .venv/.home 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif
.venv/.ready: pyproject.toml physics/constants.py $(native)
	@cmake/setup.sh
	@touch $@

lint: .venv/.ready build/link/emagram
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	MYPYPATH=build/link $(python) -m mypy -m emagram -m emagram.__main__ $(folders:%=-p emagram.%)
	.venv/bin/clang-format --dry-run --Werror $(cxx)
	.venv/bin/fortitude check physics fortran_bridge hybrid tests

format: .venv/.ready
	$(python) -m ruff check --fix-only . ; $(python) -m ruff format .
	.venv/bin/clang-format -i $(cxx)

# mypy wants a folder in which the package has its name.
build/link/emagram:
	@mkdir -p build/link && ln -sfn ../.. $@

clean:
	rm -rf build .venv
