"""The console command ``ffnn``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from ffnn._utils.console import OutputError, show, warn
from ffnn.exceptions import PluginWarning
from ffnn.journal.command import add_parser as add_journal

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        0 for success.

    Notes
    -----
    Each command's ``--help`` lists its other statuses. If standard output cannot be written to, the status is 74, or
    141 for a broken pipe.
    """
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except OutputError as error:
        if not isinstance(error.__cause__, BrokenPipeError):  # a reader that closed the pipe needs no message
            warn(f"ffnn: error: {error}")
        return error.status


def _run(argv: list[str]) -> int:
    if argv[:1] == ["doctor"]:  # its options are those of any executor
        from ffnn.doctor.command import main as doctor

        return doctor(argv[1:])
    arguments = _parser().parse_args(argv)
    status: int = arguments.run(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ffnn", description="Feed-forward neural networks that behave as scikit-learn estimators."
    )
    parser.add_argument("--version", action="version", version=f"ffnn {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    plugins = commands.add_parser(
        "plugins",
        help="list the installed plugins",
        description="List the registered plugins with kind, name, class and distribution, and the kernels. "
        "Problems are shown on standard error; a broken plugin does not affect the others.",
    )
    plugins.set_defaults(run=_plugins)
    commands.add_parser("doctor", help="check whether the hosts of an executor can be used", add_help=False)
    add_journal(commands.add_parser("journal", help="show the searches that a journal records"))
    return parser


def _version() -> str:
    try:
        return version("ffnn")
    except PackageNotFoundError:
        return "(not installed)"


def _plugins(arguments: argparse.Namespace) -> int:
    from ffnn import kernels
    from ffnn.plugins import registry

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the listing shows them
        entries = registry.entries()
    usable = [entry for entry in entries if entry.error is None]
    rows = [(entry.kind, entry.name, entry.target, entry.origin) for entry in usable]
    show(f"{_table(('kind', 'name', 'class', 'distribution'), rows)}\n\n{kernels.describe()}")
    for entry in entries:
        if entry.error is not None:
            warn(f"{entry.label}: {entry.error}")
    return 0


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, tuple("-" * width for width in widths), *rows]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)
