"""The registry of plugins: what a distribution says it has, and how a name becomes a class.

A plugin author needs :data:`hookimpl` and the entry-point group ``ffnn``; everything else asks
:mod:`ffnn.plugins.registry`.
"""

from __future__ import annotations

from ffnn.plugins.hookspecs import hookimpl

__all__ = ["hookimpl"]
