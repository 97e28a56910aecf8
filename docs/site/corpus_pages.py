"""The page of each corpus, from its card, its module's docstring and its published file list."""

import importlib
import inspect
from collections.abc import Iterable, Sequence

import corpus_pictures
import pandas as pd

from bimotion.corpora import CORPORA, PAPER_CORPORA
from bimotion.corpora.card import Card
from bimotion.corpora.utterance import AGE_SOURCES, FINDINGS, PARTS
from bimotion.data import rosters
from bimotion.data.splits import PAPER_CELLS
from bimotion.data.synthetic import layouts
from bimotion.protocol.cells import AGE_GROUPS, LANGUAGES, Cell

PASSED_ON = {
    "audio": "converted audio may be passed on",
    "labels": "labels may be passed on, audio may not",
    "nothing": "nothing may be passed on",
}


def title(name: str) -> str:
    """Heading of a corpus's page."""
    return CORPORA[name].card.title


def page_of(name: str) -> str:
    """The page of a corpus, in Markdown."""
    card = CORPORA[name].card
    lead, _, guide = _docstring(name).partition("\n\n")
    parts = [
        f"# {card.title}",
        _sentence(lead.partition(": ")[2]),
        *([] if name in PAPER_CORPORA else [OPTIONAL]),
        *("## Facts", _facts(card)),
        *("## Clips", _clips(card)),
        *("## Labels", _labels(card)),
        *("## Files, and traps", f"From the reader's own docstring, `{_module(name)}`.", guide),
        *_known(card),
        *("## What synthetic clips of it look like", corpus_pictures.caption(name)),
        *("## Check it, load it", _commands(card)),
    ]
    return "\n\n".join(parts) + "\n"


OPTIONAL = (
    "Optional: a target of unsupervised adaptation under `--protocol extension` only. Nobody "
    "misses it elsewhere."
)


def table_of_corpora() -> str:
    """The corpora of the paper in a table, as docs/corpora.md has it."""
    rows = []
    for name in PAPER_CORPORA:
        card = CORPORA[name].card
        cells = ", ".join(card.cells)
        speakers = "not published" if card.speaker_note else str(len(_speakers(name)))
        if len(_speakers(name)) == len(card.cells):
            speakers += ", one an age group"
        rows.append((card.title, f"`{name}`", cells, card.n_utterances, speakers, card.age_source))
    return table(("corpus", "name", "cells", "clips", "speakers", "ages"), rows)


def linked(markdown: str) -> str:
    """The page of all corpora, whose table leads to the page of each."""
    for name in PAPER_CORPORA:
        markdown = markdown.replace(
            f"| {title(name)} | `{name}` |", f"| [{title(name)}](corpora/{name}.md) | `{name}` |"
        )
    return markdown


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown.

    >>> print(table(("a", "b"), [(1, 2)]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    cells = [" | ".join(map(str, row)) for row in (header, *rows)]
    first, *others = [f"| {line} |" for line in cells]
    return "\n".join([first, "|" + "---|" * len(header), *others])


def _module(name: str) -> str:
    return f"bimotion/corpora/{name}.py"


def _docstring(name: str) -> str:
    return inspect.getdoc(importlib.import_module(f"bimotion.corpora.{name}"))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _speakers(name: str) -> set[str]:
    """Speakers that the published list of a corpus names."""
    roster = rosters.load(name)
    if roster is None:
        return {str(number) for number, _, _ in layouts.YUEMOTION_SPEAKERS}
    return set(roster["speaker"]) - {""}


def _facts(card: Card) -> str:
    ages = f"**{card.age_source}** ({AGE_SOURCES[card.age_source]}): {card.age_note}"
    speakers = card.speaker_note or f"{len(_speakers(card.name))}, known"
    rates = ", ".join(f"{rate} Hz" for rate in card.sample_rates_hz) or "any sampling rate"
    apart = f"impossible: {card.not_disjoint}" if card.not_disjoint else "under `folds`, `disjoint`"
    rows = [
        ("name in commands", f"`{card.name}`"),
        ("clips", card.n_utterances),
        ("speakers", speakers),
        ("ages", ages),
        ("sound", rates),
        ("licence", f"{card.licence}: {PASSED_ON[card.redistribution]}"),
        (
            "how to get it",
            f"`bimotion data download {card.name}`; by hand: {card.obtain}: <{card.url}>",
        ),
        ("test speakers apart from training speakers", apart),
        ("cite", card.citation),
    ]
    return table(("fact", "of every true copy"), rows)


def _clips(card: Card) -> str:
    """Clips and speakers of each cell by true ages, and the parts of split `paper`."""
    roster = rosters.load(card.name)
    if roster is None:
        roster = _of_its_metadata(card.name)
    true_cell = roster["cell"].mask(roster.index.isin(list(PAPER_CELLS)), "eng_eld")
    rows = []
    for cell in card.cells:
        clips, printed = roster[true_cell == cell], roster[roster["cell"] == cell]
        at = Cell.parse(cell)
        speakers = len(set(clips["speaker"]) - {""}) or "not published"
        parts = " / ".join(str((printed["paper"] == part).sum()) for part in PARTS)
        group = f"{LANGUAGES[at.language]}, {AGE_GROUPS[at.age_group]}"
        rows.append((f"`{cell}`", group, len(clips), speakers, parts))
    header = ("cell", "speech", "clips", "speakers", "train / validation / test of split `paper`")
    return table(header, rows)


def _of_its_metadata(name: str) -> pd.DataFrame:
    """In place of a published list: as many clips as a corpus's own metadata names."""
    clips = layouts.plan(scale=1.0, corpora=[name])
    ages = {True: "eld", False: "adu"}
    return pd.DataFrame(
        {
            "cell": [f"{clip.voice.language}_{ages[clip.voice.elderly]}" for clip in clips],
            "speaker": [clip.voice.speaker for clip in clips],
            "paper": [clip.part for clip in clips],
        },
        index=[clip.id for clip in clips],
    )


def _labels(card: Card) -> str:
    rows = [(f"`{code}`", emotion) for code, emotion in card.native_labels.items()]
    return table(("as the corpus writes it", "canonical emotion"), rows)


def _known(card: Card) -> list[str]:
    """Defects that every true copy has."""
    if not card.known:
        return []
    rows = [
        ("any clip" if clip == "*" else f"`{clip}`", kind, FINDINGS[kind])
        for clip, kind in card.known.items()
    ]
    note = "Reported by `bimotion data doctor`, and never counted as damage:"
    return ["### Defects of every true copy", note, table(("clip", "finding", "means"), rows)]


def _commands(card: Card) -> str:
    """What to type, in a shell and in Python."""
    lines = [
        "```",
        "bimotion data doctor /corpora      # every corpus of this folder",
        f"bimotion data stats --corpora /corpora --only {card.name}",
        "```",
    ]
    if card.name in PAPER_CORPORA:
        dataset = "yuemotion" if card.cells[0].startswith("yue") else "bimotion"
        loaded = f'"{dataset}", "{card.cells[0]}", data_dir="/corpora", only=["{card.name}"]'
        lines += ["", "```python", "import bimotion", "", f"ds = bimotion.load_dataset({loaded})"]
        lines += ['ds["train"][0]["native_label"]', "```"]
    return "\n".join(lines)
