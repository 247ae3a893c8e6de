"""Displays as in scikit-learn: ``from_…`` computes and ``plot`` draws; matplotlib is imported only for drawing."""

from __future__ import annotations

from ffnn.displays.loss_curve import LossCurveDisplay
from ffnn.displays.prediction_gradient import PredictionGradientDisplay
from ffnn.displays.search import SearchDisplay

__all__ = ["LossCurveDisplay", "PredictionGradientDisplay", "SearchDisplay"]
