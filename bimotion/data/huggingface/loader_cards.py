"""The parts of the cards of `loaders/` that are facts of the corpora: YAML for the Hub, counts,
ages, licences, known faults.

    python -m bimotion.data.huggingface.loader_cards      # writes them anew into loaders/*.md
"""

import re
from collections.abc import Sequence

from huggingface_hub import DatasetCardData

from bimotion.corpora import CORPORA, corpora_with
from bimotion.corpora.card import Card
from bimotion.data import rosters
from bimotion.data.huggingface.cards import FOLDER
from bimotion.data.huggingface.hub_copy import PERMISSIONS
from bimotion.data.huggingface.metadata import metadata_of
from bimotion.data.splits import PAPER_CELLS
from bimotion.io.tables import Table
from bimotion.protocol import cells as groups

TITLES = {"bimotion": "BiMotion", "yuemotion": "YueMotion"}
CELLS = {"bimotion": groups.BIMOTION_CELLS, "yuemotion": groups.YUEMOTION_CELLS}
BEGIN, END = "<!-- facts of the corpora: loader_cards.py -->", "<!-- end of the facts -->"


def renewed(text: str, dataset: str) -> str:
    """The card of a dataset with its YAML and its facts as the corpora's own cards have them."""
    body = re.sub(r"\A---\n.*?\n---\n+", "", text, flags=re.DOTALL)
    before, _, after = body.partition(BEGIN)
    after = after.partition(END)[2]
    head = f"---\n{metadata(dataset).to_yaml()}\n---\n\n"
    return f"{head}{before}{BEGIN}\n\n{facts(dataset)}\n{END}{after}"


def metadata(dataset: str) -> DatasetCardData:
    """The YAML of a dataset whose corpora are complete."""
    cards = _cards(dataset)
    languages = {cell.partition("_")[0] for card in cards for cell in card.cells}
    n_clips = sum(card.n_utterances for card in cards)
    return metadata_of(TITLES[dataset], languages, cards, n_clips)


def facts(dataset: str) -> str:
    """Counts, ages, licences and known faults of the corpora, as Markdown."""
    cards = _cards(dataset)
    corpora = Table(
        "Corpora", ["corpus", "clips", "speakers", "ages", "licence", "may be passed on"]
    )
    for card in cards:
        licence, ages = f"[{card.licence}]({card.url})", f"{card.age_source}: {card.age_note}"
        permission = PERMISSIONS[card.redistribution]
        row = [card.title, str(card.n_utterances), _speakers(card), ages, licence, permission]
        corpora.rows.append(row)
    faults = "\n".join(f"- {card.title}: {card.faults}." for card in cards)
    tables = [corpora, _cells(cards)]
    shown = "\n\n".join(table.markdown() for table in tables if table.rows)
    return f"{shown}\n\n**Known faults**\n\n{faults}\n"


def _cards(dataset: str) -> list[Card]:
    return [CORPORA[name].card for name in corpora_with(CELLS[dataset])]


def _speakers(card: Card) -> str:
    roster = rosters.load(card.name)
    if card.speaker_note or roster is None:
        return card.speaker_note or "18"
    return str(len(set(roster["speaker"]) - {""}))


def _cells(cards: Sequence[Card]) -> Table:
    """Clips of each cell, by true ages."""
    table = Table("Clips and speakers by true age", ["cell", "who", "corpus", "clips", "speakers"])
    rows = {}
    for card in cards:
        roster = rosters.load(card.name)
        if roster is None:  # its own metadata lists its clips
            continue
        true_cell = roster["cell"].mask(roster.index.isin(list(PAPER_CELLS)), "eng_eld")
        for cell, clips in roster.groupby(true_cell):
            n_speakers = len(set(clips["speaker"]) - {""})
            at = groups.Cell.parse(str(cell))
            who = f"{groups.LANGUAGES[at.language]}, {groups.AGE_GROUPS[at.age_group]}"
            known = str(n_speakers or "not published")
            rows[at, card.name] = [str(cell), who, card.title, str(len(clips)), known]
    table.rows = [rows[key] for key in sorted(rows)]
    return table


def main() -> None:
    """Write the facts into the cards of `loaders/`."""
    for dataset in TITLES:
        path = FOLDER / f"{dataset}.md"
        path.write_text(renewed(path.read_text(encoding="utf-8"), dataset), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
