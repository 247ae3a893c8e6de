"""The pictures of an estimator in a notebook: its network and its loss curve.

Both are SVG inside the HTML, in the colour of the text around them; nothing is loaded, and no script runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from ffnn._utils.checks import check_units
from ffnn.layer import Layer
from ffnn.network import Network, Stage

__all__ = ["picture"]

_WIDTH, _GAP, _LINE, _MARGIN = 112, 28, 16, 8  # of the boxes, in pixels
_PLOT = (400, 96)  # of the loss curve
_ARROW = "M-5 -4 L3 0 L-5 4"


@dataclass(frozen=True)
class _Box:
    """A layer of the picture: its title, and the lines below."""

    title: str
    lines: tuple[str, ...]


def picture(estimator: Any) -> str:
    """Return HTML with the network of an estimator and, if it is fitted, with its loss curve.

    Of an estimator that is not fitted the hidden layers alone are known. What cannot be drawn, such as a value of
    ``hidden_units`` that ``fit`` would refuse, is left out.
    """
    network: Network | None = getattr(estimator, "network_", None)
    if network is None:
        parts = [_drawn(_boxes_to_be(estimator.hidden_units), "The network to be")]
    else:
        n_weights = sum(map(_size, network.stages))
        caption = f"{n_weights:,} parameters, {network.dtype}, trained for {estimator.n_iter_} epochs"
        parts = [_drawn(_boxes(network), "The network"), f"<div>{caption}</div>", _curves(estimator)]
    style = "font: 12px sans-serif; margin: 0.5em 0; overflow-x: auto; max-width: 100%"
    return f'<div class="ffnn-picture" style="{style}">{"".join(parts)}</div>' if any(parts) else ""


# --- the network


def _boxes(network: Network) -> list[_Box]:
    groups = itertools.groupby(network.stages, key=lambda stage: stage.name.partition(".")[0])
    return [_box(name, list(stages)) for name, stages in groups]


def _box(name: str, stages: Sequence[Stage]) -> _Box:
    size = sum(map(_size, stages))
    lines = [f"{stages[-1].n_outputs:,} {'features' if name == 'input' else 'units'}"]
    lines += [_words(stage.layer) for stage in stages if isinstance(stage.layer, Layer)]
    return _Box(name, (*lines, f"{size:,} parameters") if size else tuple(lines))


def _boxes_to_be(hidden_units: Any) -> list[_Box]:
    try:
        units = check_units(hidden_units)
    except (TypeError, ValueError):
        return []
    hidden = [_Box(f"hidden{i}", (f"{n:,} units",)) for i, n in enumerate(units, start=1)]
    return [_Box("input", ("X",)), *hidden, _Box("output", ("y",))]


def _words(layer: Layer) -> str:
    """Return the name of a layer, with what an activation or a rate is."""
    value: Any = getattr(layer, "activation", None)
    if value is not None:
        return str(getattr(value, "__name__", value))
    rate = getattr(layer, "rate", None)
    return type(layer).__name__ + ("" if rate is None else f" {rate:g}")


def _size(stage: Stage) -> int:
    return sum(math.prod(weight.shape) for weight in stage.weights.values())


def _drawn(boxes: Sequence[_Box], label: str) -> str:
    if not boxes:
        return ""
    height = 2 * _MARGIN + _LINE * (1 + max(len(box.lines) for box in boxes))
    shapes = []
    for i, box in enumerate(boxes):
        left, middle = i * (_WIDTH + _GAP), height / 2
        shapes.append(f'<rect x="{left + 1}" y="1" width="{_WIDTH - 2}" height="{height - 2}" rx="6" fill="none" />')
        texts = [f'<tspan font-weight="bold">{escape(box.title)}</tspan>', *map(escape, box.lines)]
        top = middle - _LINE * (len(texts) - 1) / 2 + 4
        shapes += [_text(left + _WIDTH / 2, top + _LINE * k, text) for k, text in enumerate(texts)]
        if i:
            start, end = left - _GAP + 4, left - 6
            shapes.append(f'<path d="M{start} {middle} L{end} {middle}" />')
            shapes.append(f'<path d="{_ARROW}" fill="none" transform="translate({end} {middle})" />')
    label = f"{label}: " + "; ".join(f"{box.title}, {', '.join(box.lines)}" for box in boxes)
    return _svg(len(boxes) * (_WIDTH + _GAP) - _GAP, height, label, shapes)


# --- the loss curve


def _curves(estimator: Any) -> str:
    training = np.asarray(estimator.loss_curve_, dtype=float)
    validation = np.asarray(getattr(estimator, "validation_loss_curve_", None) or [], dtype=float)
    known = np.concatenate([training, validation])
    known = known[np.isfinite(known)]
    if len(training) < 2 or not len(known):
        return ""
    (width, height), low, high = _PLOT, float(known.min()), float(known.max())
    lines = [_line(training, low, high, ""), _line(validation, low, high, ' stroke-dasharray="4 3"')]
    axes = f'<path d="M40 {_MARGIN} V{height - 20} H{width - _MARGIN}" fill="none" opacity="0.5" />'
    texts = [
        _text(36, _MARGIN + 8, f"{high:.3g}", "end"),
        _text(36, height - 22, f"{low:.3g}", "end"),
        _text(40, height - 6, "1", "start"),
        _text(width - _MARGIN, height - 6, f"{len(training)} epochs", "end"),
        _text(width / 2, height - 6, "loss" if not len(validation) else "loss; dashed: of validation data"),
    ]
    label = f"The training loss, from {training[0]:.3g} to {training[-1]:.3g} in {len(training)} epochs"
    return _svg(width, height, label, [axes, *lines, *texts])


def _line(values: np.ndarray[Any, Any], low: float, high: float, style: str) -> str:
    if not len(values):
        return ""
    width, height = _PLOT
    x = 40 + np.arange(len(values)) * (width - 40 - _MARGIN) / max(len(values) - 1, 1)
    y = height - 22 - (values - low) * (height - 30 - _MARGIN) / ((high - low) or 1.0)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b))
    return f'<polyline points="{points}" fill="none" stroke-width="1.5"{style} />'


# --- SVG


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="currentColor" stroke="none">{text}</text>'


def _svg(width: int, height: int, label: str, shapes: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(label)}" stroke="currentColor" style="display: block; margin: 4px 0">'
        f"{''.join(shapes)}</svg>"
    )
