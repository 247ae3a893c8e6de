"""Every error and warning that ffnn raises under its own name.

What is wrong with a value also derives from the built-in that scikit-learn users catch for it
(``ValueError``), so that ``except ValueError`` keeps working::

    Exception
    └── FfnnError
        ├── PluginError
        │   ├── UnknownPluginError      (also ValueError)
        │   ├── PluginConflictError
        │   └── PluginLoadError
        └── EngineNotInstalledError     (also ValueError)

    UserWarning
    └── PluginWarning
"""

from __future__ import annotations

__all__ = [
    "EngineNotInstalledError",
    "FfnnError",
    "PluginConflictError",
    "PluginError",
    "PluginLoadError",
    "PluginWarning",
    "UnknownPluginError",
]


class FfnnError(Exception):
    """Root of ffnn's own errors."""


class PluginError(FfnnError):
    """Something is wrong with a plugin, or with the name by which one was asked for."""


class UnknownPluginError(PluginError, ValueError):
    """No plugin of that kind is registered under the name that was asked for."""


class PluginConflictError(PluginError):
    """Two distributions registered the same name, so that it says neither's."""


class PluginLoadError(PluginError):
    """A registered plugin's class could not be imported."""


class EngineNotInstalledError(FfnnError, ValueError):
    """The engine that a builder needs is not installed."""


class PluginWarning(UserWarning):
    """A plugin was left out, wholly or in part; the rest of the program is unaffected."""
