"""The plugin registry: finds the plugins of installed distributions and resolves names to classes.

Plugin authors need :data:`hookimpl` and the entry-point group ``ffnn``; ffnn itself uses
:mod:`ffnn.plugins.registry`.
"""

from __future__ import annotations

from ffnn.plugins.hookspecs import hookimpl

__all__ = ["hookimpl"]
