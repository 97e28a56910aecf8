"""Every command with its arguments and options, from the command line itself."""

import inspect
from collections import defaultdict
from collections.abc import Iterator

import typer
from corpus_pages import table

from bimotion import cli

OPTIONS = "Options"


def reference(markdown: str) -> str:
    """The page of the command line, and behind it every command as its `--help` has it."""
    parts = [markdown, "## Every option", "What `--help` says, from the program itself."]
    for words, command in commands():
        context = command.make_context(words, [], resilient_parsing=True)
        parts += [f"### {words}", inspect.cleandoc(command.help)]
        parts.append(f"```\n{' '.join([words, *command.collect_usage_pieces(context)])}\n```")
        for panel, rows in _panels(command, context).items():
            parts += [] if panel == OPTIONS else [f"**{panel}**"]
            parts.append(table(("option", "what it does"), rows))
    return "\n\n".join(parts) + "\n"


def table_of_commands() -> str:
    """Every command with the first sentence of its help, as docs/command-line.md has it."""
    rows = [(f"`{words}`", first_sentence(command.help)) for words, command in commands()]
    return table(("command", "what it does"), rows)


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line.

    >>> first_sentence("Load a model. It is\\nlarge.")
    'Load a model.'
    """
    words = " ".join(inspect.cleandoc(text).split())
    return words.partition(". ")[0].rstrip(".") + "."


def commands() -> Iterator[tuple[str, object]]:
    """Words and command, as the help lists them."""
    todo = [("bimotion", typer.main.get_command(cli.app))]
    while todo:
        words, command = todo.pop(0)
        if hasattr(command, "commands"):
            children = command.commands.items()
            todo = [*((f"{words} {name}", child) for name, child in children), *todo]
        else:
            yield words, command


def _panels(command, context) -> dict[str, list[tuple[str, str]]]:
    """Panel -> the options in it, in words."""
    rows = defaultdict(list)
    for parameter in command.get_params(context):
        written, words = parameter.get_help_record(context) or ("", "")
        if written and "--help" not in parameter.opts:
            panel = getattr(parameter, "rich_help_panel", None) or OPTIONS
            rows[panel].append((f"`{written.replace('|', ' | ')}`", words.replace("|", "\\|")))
    return rows
