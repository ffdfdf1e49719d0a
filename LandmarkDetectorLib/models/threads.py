"""Keep numpy's threads out of torch's way."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import scipy.linalg  # noqa: F401  (scipy brings a BLAS of its own, which must be loaded to be limited)
from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[object]:
    """While this lasts, numpy's and scipy's linear algebra runs in one thread.

    Its matrices are small here, and its threads wait actively for more work: they take the cores from the networks
    (measured on two cores: a detection in 1.01 s instead of 0.67 s).
    """
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
