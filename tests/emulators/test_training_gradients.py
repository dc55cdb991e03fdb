"""Gradients of several losses, and the one without conflicts of ConFIG."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.emulators.training.gradients import Gradients, conflict_free
from emagram.emulators.training.parallel import ALONE

ROUNDING = 1e-9


def random_gradients(seed: int, n_loss: int, n_weight: int, *, conflict: float = 0.0) -> torch.Tensor:
    """Rows of very different lengths; the others point against the first by the share `conflict`."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n_loss, n_weight))
    rows[1:] -= conflict * 20.0 * rows[0]
    return torch.from_numpy(rows * 10.0 ** random.uniform(-3.0, 3.0, size=(n_loss, 1)))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_loss=st.integers(1, 5),
    n_weight=st.integers(6, 60),
    conflict=st.floats(0.0, 1.0),
)
def test_every_loss_falls_and_by_the_same_share_of_its_gradient(
    seed: int, n_loss: int, n_weight: int, conflict: float
) -> None:
    gradients = random_gradients(seed, n_loss, n_weight, conflict=conflict)
    found = conflict_free(gradients)
    cosines = (gradients @ found) / (gradients.norm(dim=1) * found.norm())
    assert bool((cosines > 0.0).all())
    torch.testing.assert_close(cosines, cosines[:1].expand(n_loss), rtol=1e-6, atol=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), n_loss=st.integers(1, 4))
def test_it_is_the_formula_of_the_paper(seed: int, n_loss: int) -> None:
    """With numpy's pseudo-inverse of the unit gradients themselves."""
    gradients = random_gradients(seed, n_loss, 30).numpy()
    direction = np.linalg.pinv(gradients / np.linalg.norm(gradients, axis=1, keepdims=True)) @ np.ones(n_loss)
    direction /= np.linalg.norm(direction)
    expected = (gradients @ direction).sum() * direction
    np.testing.assert_allclose(conflict_free(torch.from_numpy(gradients)), expected, rtol=1e-7, atol=1e-12)


def test_the_sum_would_raise_a_loss_where_it_raises_none() -> None:
    gradients = torch.tensor([[1.0, 0.0], [-10.0, 5.0]], dtype=torch.float64)
    assert float(gradients[0] @ gradients.sum(dim=0)) < 0.0
    assert bool((gradients @ conflict_free(gradients) > 0.0).all())


def test_one_gradient_is_itself() -> None:
    gradient = random_gradients(0, 1, 20)
    torch.testing.assert_close(conflict_free(gradient), gradient[0], rtol=1e-14, atol=0.0)


def test_a_gradient_of_zero_has_no_say() -> None:
    gradients = random_gradients(1, 2, 20)
    with_zero = torch.cat([gradients[:1], torch.zeros(1, 20, dtype=torch.float64), gradients[1:]])
    torch.testing.assert_close(conflict_free(with_zero), conflict_free(gradients), rtol=ROUNDING, atol=0.0)
    assert not bool(conflict_free(torch.zeros(3, 5)).any())


def test_opposite_gradients_leave_no_step() -> None:
    gradient = random_gradients(2, 1, 20)
    found = conflict_free(torch.cat([gradient, -3.0 * gradient]))
    assert float(found.norm()) == 0.0


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), n_loss=st.integers(3, 6))
def test_dependent_gradients_may_raise_one_loss_and_never_their_sum(seed: int, n_loss: int) -> None:
    gradients = random_gradients(seed, n_loss, 2)
    found = conflict_free(gradients)
    assert bool(found.isfinite().all())
    assert float((gradients @ found).sum()) >= 0.0


def test_three_gradients_around_a_plane_raise_two_losses() -> None:
    """At 0, 100 and 200 degrees no step lowers all three: least squares of the cosines give up two for one."""
    angle = torch.deg2rad(torch.tensor([0.0, 100.0, 200.0], dtype=torch.float64))
    gradients = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert (gradients @ conflict_free(gradients) > 0.0).tolist() == [False, True, False]


def test_equal_gradients_count_once_in_the_direction_and_twice_in_the_length() -> None:
    gradient = random_gradients(3, 1, 20)
    found = conflict_free(gradient.expand(2, -1))
    torch.testing.assert_close(found, 2.0 * gradient[0], rtol=ROUNDING, atol=0.0)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_so(bad: float) -> None:
    gradients = random_gradients(4, 3, 10)
    gradients[1, 4] = bad
    assert not bool(conflict_free(gradients).isfinite().all())


def test_gradients_of_each_loss_are_those_of_autograd_and_a_step_lowers_all() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    inputs = torch.randn(5, 3, dtype=torch.float64)
    parameters = list(network.parameters())

    def losses() -> torch.Tensor:
        outputs = network(inputs)
        return torch.stack([(outputs - 1.0).square().mean(), outputs.sum(dim=1).square().mean(), outputs[0, 0]])

    gradients = Gradients(parameters, ALONE)
    rows = gradients.of_each(losses(), 3)
    for at in range(3):
        alone = torch.autograd.grad(losses()[at], parameters, materialize_grads=True, allow_unused=True)
        torch.testing.assert_close(rows[at], torch.cat([part.flatten() for part in alone]), rtol=1e-13, atol=1e-15)
    before = losses().detach()
    gradients.set(conflict_free(rows))
    with torch.no_grad():
        for parameter in parameters:
            assert parameter.grad is not None
            parameter -= 1e-6 * parameter.grad
    assert bool((losses() < before).all())
