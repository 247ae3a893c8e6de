"""Plots by scikit-learn's convention: ``from_…`` computes, ``plot`` draws; matplotlib is imported to draw only."""

from __future__ import annotations

from ffnn.displays.loss_curve import LossCurveDisplay
from ffnn.displays.prediction_gradient import PredictionGradientDisplay
from ffnn.displays.search import SearchDisplay

__all__ = ["LossCurveDisplay", "PredictionGradientDisplay", "SearchDisplay"]
