"""The instruction sets that a contestant's kernels are held to.

A figure of one machine's best instructions says little of another machine. So the contestants whose name ends in
``on AVX2`` use nothing newer, on whatever machine they run.
"""

from __future__ import annotations

import os

AVX2 = " on AVX2"


def on_avx2(contestant: str) -> str:
    """Return the name of a contestant that is held to AVX2."""
    return contestant + AVX2


def hold(contestant: str) -> str:
    """Hold this process and its children to the level that a contestant's name ends in; return the rest of the name.

    To be called before a kernel is loaded.
    """
    if contestant.endswith(AVX2):
        os.environ["FFNN_KERNELS_LEVEL"] = "3"
    return contestant.removesuffix(AVX2)
