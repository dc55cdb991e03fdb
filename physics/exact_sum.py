"""The correctly rounded sum of float64 values: the same bits in any order and for any split over processes.

Twin of fortran_bridge/mpi/emagram_sum.c, digit by digit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import EmagramError

Digits = NDArray[np.int64]
Reduction = Callable[[Digits], Digits]
"""The element-wise sum over all processes of an array of integers, the same on each; collective."""

N_DIGIT = 68
LARGEST_BLOCK = 1 << 19
_LOW = np.int64(0xFFFFFFFF)


@dataclass(frozen=True)
class ExactSum:
    """A sum held exactly: Σ_i digit_i 2^(32 i − 1074), the digits signed.

    Every finite float64 is a whole number of 2^-1074, so integers add without rounding and no order counts.

    Attributes:
        digits: (69), int64; the last counts the values that were not finite.
    Source: Kulisch 2013, Computer Arithmetic and Validity, doi:10.1515/9783110301793, chapter 8.
    """

    digits: Digits

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> ExactSum:
        """The sum of all values of an array of any shape; those that are not finite are counted instead."""
        flat = np.ravel(np.asarray(values, dtype=np.float64))
        digits = np.zeros(N_DIGIT + 1, dtype=np.int64)
        for start in range(0, flat.size, LARGEST_BLOCK):
            digits += _digits(flat[start : start + LARGEST_BLOCK])
            digits[:N_DIGIT] = _carried(digits[:N_DIGIT])
        return cls(digits)

    def over(self, reduction: Reduction | None) -> ExactSum:
        """The sum of the sums of all processes; itself without a reduction."""
        return self if reduction is None else ExactSum(np.asarray(reduction(self.digits), dtype=np.int64))

    def read(self, name: str) -> float:
        """The float64 nearest to the sum, ties to even.

        Args:
            name: of what is summed, for messages.
        Raises:
            EmagramError: if a value was not finite or the sum is beyond float64.
        """
        if self.digits[N_DIGIT]:
            raise EmagramError(f"global sum of {name}: expected finite values, got {self.digits[N_DIGIT]} that are not")
        whole = sum(int(digit) << (32 * place) for place, digit in enumerate(self.digits[:N_DIGIT]))
        try:
            return whole / (1 << 1074)  # of whole numbers Python rounds the quotient correctly
        except OverflowError:
            raise EmagramError(f"global sum of {name}: expected a sum that float64 holds, got a larger one") from None


class MpiCommunicator(Protocol):
    """What is needed of a communicator of mpi4py."""

    def Allreduce(self, sendbuf: Any, recvbuf: Any) -> None:
        """Sum element by element over all ranks."""
        ...


def over_mpi(comm: MpiCommunicator) -> Reduction:
    """The reduction over a communicator of mpi4py."""

    def reduce(digits: Digits) -> Digits:
        whole = np.empty_like(digits)
        comm.Allreduce(digits, whole)
        return whole

    return reduce


def over_torch(group: Any = None) -> Reduction:
    """The reduction over a process group of torch.distributed, by default that of all processes."""

    def reduce(digits: Digits) -> Digits:
        import torch  # what only sums arrays need not load it
        from torch import distributed

        whole = torch.from_numpy(digits.copy())
        distributed.all_reduce(whole, group=group)
        return np.asarray(whole.numpy(), dtype=np.int64)

    return reduce


def _digits(values: NDArray[np.float64]) -> Digits:
    """Digits of the sum of a block, not carried, and the count of values that are not finite."""
    finite = np.isfinite(values)
    bits = np.where(finite, values, 0.0).view(np.int64)
    exponent = (bits >> 52) & 0x7FF
    mantissa = (bits & ((1 << 52) - 1)) | np.where(exponent > 0, np.int64(1) << 52, np.int64(0))
    first, shift = np.divmod(np.maximum(exponent - 1, 0), 32)
    low, high = (mantissa & _LOW) << shift, (mantissa >> 32) << shift
    sign = np.where(bits < 0, np.int64(-1), np.int64(1))
    digits = np.zeros(N_DIGIT + 1, dtype=np.int64)
    for step, part in enumerate((low & _LOW, (low >> 32) + (high & _LOW), high >> 32)):
        weights = (sign * part).astype(np.float64)  # below 2^33 each, so float64 adds a block of them exactly
        digits += np.bincount(first + step, weights, minlength=N_DIGIT + 1).astype(np.int64)
    digits[N_DIGIT] = np.count_nonzero(~finite)
    return digits


def _carried(digits: Digits) -> Digits:
    """The same number in digits from 0 to 2^32 − 1 but for the last, which has the sign."""
    carried = digits.copy()
    for place in range(carried.size - 1):
        carried[place + 1] += carried[place] >> 32
        carried[place] &= _LOW
    return carried
