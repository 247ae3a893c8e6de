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
from ffnn.journal.optuna_file import write_optuna
from ffnn.journal.report import as_html
from ffnn.journal.summary import JournalReader
from ffnn.journal.table import as_text
from ffnn.parallel.words import plural

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
    command = commands.add_parser(
        "export",
        help="write what is recorded for another tool",
        description="Write the searches that a journal records as a journal file of Optuna: a study for each search, a "
        "trial for each candidate. Show it with: optuna-dashboard FILE. Nothing is unpickled.",
        epilog="Exit status: 0, or 1 if the journal cannot be read or the file not be written.",
    )
    command.add_argument("path", metavar="PATH", type=Path, help="the folder that journal= named")
    command.add_argument("--optuna", metavar="FILE", type=Path, required=True, help="the file to write")
    command.add_argument("--force", action="store_true", help="replace the file if it exists")
    command.set_defaults(run=_export)


def _show(arguments: argparse.Namespace) -> int:
    try:
        reader = JournalReader(arguments.path)
        reader.read()
        if arguments.follow:
            return _follow(reader)
        summary = reader.summary()
        if arguments.html is not None:
            with _writing("--html", arguments.html, "report.html") as file:
                file.write_text(as_html(summary), encoding="utf-8")
        else:
            show(json.dumps(summary, indent=2) if arguments.json else as_text(summary))
    except (JournalError, OSError) as error:
        warn(f"ffnn journal: error: {error}")
        return _UNUSABLE
    return 0


def _export(arguments: argparse.Namespace) -> int:
    try:
        reader = JournalReader(arguments.path)
        reader.read()
        if arguments.optuna.exists() and not arguments.force:
            raise FileExistsError(
                f"--optuna {arguments.optuna} exists. Name another file, or pass --force to replace it."
            )
        with _writing("--optuna", arguments.optuna, "optuna.log") as file:
            n_trials = write_optuna(reader.summary(), file)
    except (JournalError, OSError, ImportError) as error:
        warn(f"ffnn journal: error: {error}")
        return _UNUSABLE
    show(f"{arguments.optuna}: {plural(n_trials, 'trial')}")
    return 0


def _writing(option: str, path: Path, example: str) -> contextlib.AbstractContextManager[Path]:
    """Yield the path to write a file to that an option names."""
    if path.is_dir():
        raise IsADirectoryError(f"{option} {path} is a folder; name a file, such as {example}.")
    return replacing(Path(os.path.realpath(path)))


def _follow(reader: JournalReader) -> int:
    clear = "\x1b[H\x1b[2J" if sys.stdout is not None and sys.stdout.isatty() else ""
    with contextlib.suppress(KeyboardInterrupt):
        show(clear + as_text(reader.summary()))
        while True:
            time.sleep(_PAUSE)
            if reader.read():
                show(clear + as_text(reader.summary()))
    return _INTERRUPTED
