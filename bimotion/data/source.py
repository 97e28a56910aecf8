"""The corpora that a call reads, and their places: one value for the four keywords that every
public call takes."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bimotion.io.bounds import flag, one_or_more


@dataclass(frozen=True)
class CorpusSource:
    """The corpora of a call."""

    root: str | os.PathLike | None = None
    """Folder with one sub-folder a corpus, any names; None: `BIMOTION_CORPORA`, else
    `~/.cache/bimotion/corpora`."""
    corpora: tuple[str, ...] | None = None
    """Names of those to read; None: all that have what is asked for."""
    locations: Mapping[str, str | os.PathLike] = field(default_factory=dict)
    """Corpus -> its folder, where it lies elsewhere or two sub-folders look like it."""
    allow_missing: bool = False
    """Go on without corpora and clips that are missing or malformed."""

    def __post_init__(self):
        flag("allow_missing", self.allow_missing)

    @classmethod
    def of(
        cls,
        data_dir: str | os.PathLike | None = None,
        only: Iterable[str] | None = None,
        locations: Mapping[str, str | os.PathLike] | None = None,
        allow_missing: bool = False,
    ) -> "CorpusSource":
        """Take the keywords of `bimotion.load_dataset` and `bimotion.evaluate`.

        >>> CorpusSource.of("/corpora", only="tess").corpora
        ('tess',)
        """
        corpora = None if only is None else tuple(one_or_more(only))
        return cls(data_dir, corpora, dict(locations or {}), allow_missing)

    def of_corpora(self, corpora: Iterable[str]) -> "CorpusSource":
        """Return the same for other corpora; locations stay as they are."""
        return replace(self, corpora=tuple(corpora))

    def only(self, name: str) -> "CorpusSource":
        """Return the same for one corpus, where that lies."""
        given = {name: self.locations[name]} if name in self.locations else {}
        return replace(self, corpora=(name,), locations=given)
