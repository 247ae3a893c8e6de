"""The faults that workers of this machine must survive."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import ffnn
from tests.support.faults import Faults

pytestmark = pytest.mark.timeout(110)


class TestMultiprocessing(Faults):
    def pool(self, n_workers: int = 2, **options: Any) -> Any:
        return ffnn.pool("multiprocessing", n_workers=n_workers, progress=False, **options)

    @contextlib.contextmanager
    def break_host(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", "/no/such/python")
            yield
