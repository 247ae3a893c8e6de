"""The built-in schedules of the learning rate, one per module."""

from __future__ import annotations

from ffnn.schedule import Schedule
from ffnn.schedules._conversion import as_schedule
from ffnn.schedules.constant import Constant
from ffnn.schedules.cos_log import CosLog
from ffnn.schedules.cosine import Cosine
from ffnn.schedules.exponential import Exponential
from ffnn.schedules.inverse_scaling import InverseScaling
from ffnn.schedules.linear import Linear
from ffnn.schedules.one_cycle import OneCycle
from ffnn.schedules.stepwise import Stepwise
from ffnn.schedules.warm_up import WarmUp

__all__ = [
    "Constant",
    "CosLog",
    "Cosine",
    "Exponential",
    "InverseScaling",
    "Linear",
    "OneCycle",
    "Schedule",
    "Stepwise",
    "WarmUp",
    "as_schedule",
]
