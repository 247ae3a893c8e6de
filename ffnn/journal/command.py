"""The main function of ``ffnn journal``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path

from ffnn._utils.atomic_files import replacing
from ffnn._utils.console import show, warn
from ffnn.exceptions import JournalError
from ffnn.journal.report import as_html
from ffnn.journal.summary import JournalReader
from ffnn.journal.table import as_text

__all__ = ["add_parser"]

_UNUSABLE, _INTERRUPTED = 1, 130
_PAUSE = 1.0  # seconds between two looks


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands to the parser of ``ffnn journal``."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = commands.add_parser(
        "show",
        help="show what is recorded",
        description="Show the searches that a journal records, the best candidates first: parameters, mean score with "
        "the standard deviation between the folds, the score of each fold, mean fit time, failures. "
        "It may be used while a search writes the journal. Nothing is unpickled.",
        epilog="Exit status: 0, or 1 if the journal cannot be read or the report not be written.",
    )
    command.add_argument("path", metavar="PATH", type=Path, help="the folder that journal= named")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of tables")
    form.add_argument("--html", metavar="FILE", type=Path, help="write a report that a browser shows without a network")
    form.add_argument("--follow", action="store_true", help="show the tables again when a task is done, until Ctrl-C")
    command.set_defaults(run=_show)


def _show(arguments: argparse.Namespace) -> int:
    try:
        reader = JournalReader(arguments.path)
        reader.read()
        if arguments.follow:
            return _follow(reader)
        summary = reader.summary()
        if arguments.html is not None:
            if arguments.html.is_dir():
                raise IsADirectoryError(f"--html {arguments.html} is a folder; name a file, such as report.html.")
            with replacing(Path(os.path.realpath(arguments.html))) as file:
                file.write_text(as_html(summary), encoding="utf-8")
        else:
            show(json.dumps(summary, indent=2) if arguments.json else as_text(summary))
    except (JournalError, OSError) as error:
        warn(f"ffnn journal: error: {error}")
        return _UNUSABLE
    return 0


def _follow(reader: JournalReader) -> int:
    clear = "\x1b[H\x1b[2J" if sys.stdout is not None and sys.stdout.isatty() else ""
    with contextlib.suppress(KeyboardInterrupt):
        show(clear + as_text(reader.summary()))
        while True:
            time.sleep(_PAUSE)
            if reader.read():
                show(clear + as_text(reader.summary()))
    return _INTERRUPTED
