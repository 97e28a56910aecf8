"""What commands print: tables, progress, log lines."""

import logging
import os
import sys

from bimotion.io.progress import Progress, default_progress


def progress() -> Progress:
    """How this command shows long work; after `verbose()`, more often."""
    return default_progress(verbose=logging.getLogger("bimotion").isEnabledFor(logging.INFO))


def leads() -> bool:
    """Whether this is the process that reports: the only one, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def verbose() -> None:
    """Log lines of bimotion on standard error."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("bimotion").setLevel(logging.INFO)


def warn_once() -> None:
    """Say what was said before no more: for a command that does one thing several times over the
    same clips."""
    said = set()

    def is_new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in said
        said.add(message)
        return new

    for handler in logging.root.handlers or [logging.lastResort]:
        handler.addFilter(is_new)


def show(*tables) -> None:
    """Tables in colour on a terminal; as Markdown where the output is piped, so that nothing is cut
    to a width."""
    if not sys.stdout.isatty():
        print("\n\n".join(table.markdown() for table in tables))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for table in tables:
        shown = Table(
            title=table.title,
            title_justify="left",
            caption="\n".join(table.notes),
            caption_justify="left",
        )
        for column in table.header:
            shown.add_column(column, overflow="fold")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
