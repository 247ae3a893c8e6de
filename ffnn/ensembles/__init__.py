"""Ensembles of the models that a search has trained."""

from __future__ import annotations

from ffnn.ensembles.search import SearchEnsemble, ensemble

__all__ = ["SearchEnsemble", "ensemble"]
