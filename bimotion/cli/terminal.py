"""The output of commands: tables, JSON, progress, log lines."""

import dataclasses
import json
import logging
import os
import sys

from bimotion.errors import printable
from bimotion.io.progress import Progress, default_progress


def progress() -> Progress:
    """The way this command shows long work; after `verbose()`, more often."""
    return default_progress(verbose=logging.getLogger("bimotion").isEnabledFor(logging.INFO))


def leads() -> bool:
    """Tell the process that reports, the only one or the first of several, from the others."""
    return os.environ.get("RANK", "0") == "0"


def verbose() -> None:
    """Log lines of bimotion on standard error."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("bimotion").setLevel(logging.INFO)


def warn_once() -> None:
    """Log no message twice: for a command that does one thing several times over the same clips."""
    messages = set()

    def is_new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in messages
        messages.add(message)
        return new

    for handler in logging.root.handlers or [logging.lastResort]:
        handler.addFilter(is_new)


def note(message: str) -> None:
    """Print a line on standard error."""
    print(message, file=sys.stderr)


def show_json(value: object) -> None:
    """Print JSON; data classes as objects."""
    print(json.dumps(value, indent=1, default=dataclasses.asdict))


def show(*tables) -> None:
    """Print tables, in colour on a terminal; as Markdown where the output is piped, so that nothing
    is cut to a width. A note that several tables share stands below the last of them."""
    last = {text: index for index, table in enumerate(tables) for text in table.notes}
    tables = [
        dataclasses.replace(
            table, notes=[text for text in dict.fromkeys(table.notes) if last[text] == index]
        )
        for index, table in enumerate(tables)
    ]
    if not sys.stdout.isatty():
        print("\n\n".join(table.markdown() for table in tables))
        return
    from rich.console import Console
    from rich.table import Column, Table

    console = Console(markup=False, emoji=False)  # names are text, whoever gave them
    for table in tables:
        shown = Table(
            *(Column(printable(name), overflow="fold") for name in table.header),
            title=printable(table.title),
            title_justify="left",
            caption="\n".join(map(printable, table.notes)),
            caption_justify="left",
        )
        for row in table.rows:
            shown.add_row(*map(printable, row))
        console.print(shown)
