"""The rates of a schedule."""

from __future__ import annotations

import numpy as np

from ffnn.schedules import as_schedule

N_BATCHES = 10


def halved(step):
    return 0.1 * 0.5 ** (step // 10)


def rates(schedule, n_epochs=10, horizon=None):
    steps = np.arange(n_epochs * N_BATCHES)
    return as_schedule(schedule).rates(steps, steps / N_BATCHES, horizon or n_epochs)
