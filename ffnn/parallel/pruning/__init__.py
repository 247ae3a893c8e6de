"""Pruning: a search stops the candidates that are losing, after a few epochs."""
