"""What ffnn asks of every $kind."""

from __future__ import annotations

from ffnn.testing.${kind}s import ${Kind}Suite


class Test$cls(${Kind}Suite):
    name = "$name"
