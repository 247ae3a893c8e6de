"""What ffnn asks of every executor."""

from __future__ import annotations

from ffnn.testing.executors import ExecutorSuite

from $package.executor import $cls


class Test$cls(ExecutorSuite):
    def make(self, n_workers: int) -> $cls:
        return $cls(n_workers)
