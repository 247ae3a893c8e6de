"""The builders that come with ffnn, registered like third-party plugins."""

from __future__ import annotations

from ffnn.plugins import hookimpl


@hookimpl
def ffnn_builders() -> dict[str, str]:
    """Register the built-in builders."""
    return {
        "tf": "ffnn.builders.tensorflow:TensorFlowBuilder",
        "keras": "ffnn.builders.keras:KerasBuilder",
    }
