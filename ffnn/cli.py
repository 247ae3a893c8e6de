"""The console command ``ffnn``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, cast

from ffnn._utils.console import OutputError, show, warn
from ffnn.exceptions import EngineNotInstalledError, FfnnError, PluginWarning
from ffnn.journal.command import add_parser as add_journal

if TYPE_CHECKING:
    from ffnn.plugins.hookspecs import Kind
    from ffnn.plugins.manager import Entry

__all__ = ["main"]

_BROKEN = 1
# those of ffnn.plugins.hookspecs, which help must not wait for
_KINDS = ("builder", "input", "layer", "output", "solver", "schedule", "executor")
_FIELDS = ("kind", "name", "distribution", "version", "error")
_STATUSES = """\
exit status:
  0    success; also where a plugin is broken, unless --check is given
  1    `plugins --check`: a plugin is broken; `doctor`: a host cannot be used
  2    the command line is wrong
  74   standard output cannot be written to; 141 if it is a pipe that was closed
  130  interrupted"""


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
    ``ffnn --help`` lists the other statuses.
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
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="ffnn",
        description="Feed-forward neural networks that behave as scikit-learn estimators.",
        epilog=_STATUSES,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"ffnn {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    plugins = commands.add_parser(
        "plugins",
        help="list the installed plugins",
        description="List the registered plugins with kind, name, class and distribution, and the kernels.\n"
        "Problems are shown on standard error; a broken plugin does not affect the others.",
        epilog=_STATUSES,
        formatter_class=raw,
    )
    plugins.add_argument("--check", action="store_true", help="import every class; exit with 1 if one is broken")
    plugins.add_argument("--json", action="store_true", help="print JSON instead of a table, problems included")
    plugins.set_defaults(run=_plugins)
    new = commands.add_parser(
        "new-plugin",
        help="write the folder of a new plugin",
        description="Write the folder of a distribution with a small plugin that works, and its tests, to start from.",
        epilog=_STATUSES,
        formatter_class=raw,
    )
    new.add_argument("name", metavar="NAME", help="the name to register; the folder is ffnn-NAME")
    new.add_argument("--kind", choices=_KINDS, action="append", required=True, help="may be given several times")
    new.set_defaults(run=_new_plugin, refuse=new.error)
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
        broken = any(entry.error is not None for entry in entries)
        if arguments.check:
            checked = [_checked(entry) for entry in entries]
            entries, broken = [entry for entry, _ in checked], any(broken for _, broken in checked)
    if arguments.json:
        plugins = [
            {"class": entry.target, **{name: getattr(entry, name) for name in _FIELDS}, "usable": entry.error is None}
            for entry in entries
        ]
        show(json.dumps({"plugins": plugins, "kernels": kernels.describe()}, indent=2))
    else:
        usable = [entry for entry in entries if entry.error is None]
        rows = [(entry.kind, entry.name, entry.target, entry.origin) for entry in usable]
        show(f"{_table(('kind', 'name', 'class', 'distribution'), rows)}\n\n{kernels.describe()}")
        for entry in entries:
            if entry.error is not None:
                warn(f"{entry.label}: {entry.error}")
    return _BROKEN if arguments.check and broken else 0


def _checked(entry: Entry) -> tuple[Entry, bool]:
    """Return the entry, with an error if its class cannot be imported, and whether it is broken.

    What lacks a package that may be left out, an engine or an extra of ffnn's own, is not broken.
    """
    from ffnn.plugins import registry
    from ffnn.plugins.guard import message

    if entry.error is not None or entry.kind == "plugin":
        return entry, entry.error is not None
    try:
        registry.load(cast("Kind", entry.kind), entry.name)
    except EngineNotInstalledError as error:
        return dataclasses.replace(entry, error=message(error)), False
    except FfnnError as error:
        optional = isinstance(error.__cause__, ModuleNotFoundError) and "ffnn[" in str(error.__cause__)
        return dataclasses.replace(entry, error=message(error)), not optional
    return entry, False


def _new_plugin(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from ffnn.plugins.new import new_plugin

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        try:
            folder = new_plugin(arguments.name, list(dict.fromkeys(arguments.kind)), Path())
        except ValueError as error:
            arguments.refuse(str(error))
        except FileExistsError as error:
            arguments.refuse(f"NAME: {error.filename} exists. Choose another name, or remove that folder")
    show(f"Written: {folder}. Install it, test it, and see it listed:\n\n  cd {folder}")
    show("  python -m pip install -e '.[test]'\n  pytest\n  ffnn plugins --check")
    return 0


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, tuple("-" * width for width in widths), *rows]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)
