"""The registry of corpora: every module of this folder that defines CORPUS. To add a corpus is to
add one file here."""

from collections.abc import Iterable

from bimotion.corpora.card import Corpus
from bimotion.errors import SettingError, known_name
from bimotion.io.modules import modules_of
from bimotion.protocol.cells import BIMOTION_CELLS, EXTENSION_CELLS, YUEMOTION_CELLS
from bimotion.protocol.settings import Setting

CORPORA: dict[str, Corpus] = {
    module.CORPUS.name: module.CORPUS
    for module in modules_of(__name__)
    if hasattr(module, "CORPUS")
}


def corpus_named(name: str) -> Corpus:
    """The corpus of that name; raises UnknownName."""
    return CORPORA[known_name("corpus", name, CORPORA)]


def corpora_with(cells: Iterable[object], names: Iterable[str] | None = None) -> list[str]:
    """Corpora, of those named (None: of all), that have clips in some of the cells. Raises
    UnknownName, SettingError.

    >>> corpora_with(["zho_eld"])
    ['csed']
    """
    cells = [str(cell) for cell in cells]
    names = [names] if isinstance(names, str) else names
    named = list(CORPORA) if names is None else [corpus_named(name).name for name in names]
    if with_clips := [name for name in named if set(cells) & set(CORPORA[name].card.cells)]:
        return with_clips
    raise SettingError(
        f"expected a corpus with clips in {', '.join(cells)}; {', '.join(named) or 'no corpus'} "
        "has none"
    )


PAPER_CORPORA = tuple(corpora_with(BIMOTION_CELLS + YUEMOTION_CELLS))
"""Those of BiMotion and YueMotion."""
EXTENSION_CORPORA = tuple(corpora_with(EXTENSION_CELLS))
"""Targets of protocol `extension` only: nobody misses them elsewhere."""


def corpora_of(settings: Iterable[Setting]) -> list[str]:
    """Corpora that some settings use."""
    used = {name for s in settings for name in s.corpora or corpora_with((*s.train, s.test))}
    return [name for name in CORPORA if name in used]
