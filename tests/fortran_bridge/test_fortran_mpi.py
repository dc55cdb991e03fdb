"""emagram_mpi on several ranks: one reader, one outcome."""

import pytest

pytestmark = pytest.mark.mpi


@pytest.fixture(scope="module")
def mpi_open(fortran):
    return fortran.compile("mpi_open.F90", "-DEMAGRAM_MPI_F08")


@pytest.mark.parametrize("n_rank", [1, 2, 4])
def test_every_rank_gets_the_model(mpi_open, mpirun, tiny_model, n_rank):
    done = mpirun(n_rank, mpi_open, tiny_model)
    lines = sorted(done.stdout.splitlines())
    assert [line.split("|")[0] for line in lines] == [str(rank) for rank in range(n_rank)]
    assert len({line.partition("|")[2] for line in lines}) == 1
    assert lines[0].startswith("0|0||")


@pytest.mark.parametrize("n_rank", [2, 4])
@pytest.mark.parametrize("fault", ["missing", "folder", "truncated", "empty"])
def test_a_bad_file_is_the_same_error_on_every_rank(mpi_open, mpirun, tiny_model, tmp_path, fault, n_rank):
    path = tmp_path / "bad.emg"
    content = tiny_model.read_bytes()
    if fault == "folder":
        path.mkdir()
    elif fault != "missing":
        path.write_bytes(content[: len(content) // 2] if fault == "truncated" else b"")
    done = mpirun(n_rank, mpi_open, path)
    outcomes = {tuple(line.split("|")[1:3]) for line in done.stdout.splitlines()}
    assert len(done.stdout.splitlines()) == n_rank
    assert len(outcomes) == 1
    ((code, errmsg),) = outcomes
    assert int(code) == (2 if fault in ("missing", "folder") else 3)
    assert "model file" in errmsg
    assert path.name in errmsg
