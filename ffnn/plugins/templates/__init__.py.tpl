"""Registers the plugins. They are named as text, so that listing them imports none of their modules."""

from __future__ import annotations

from ffnn.plugins import hookimpl
