"""The number of speakers behind clips whose speakers nobody publishes: stated, with a reason, and
from few to many.

The numbers are assumptions, and are data for that reason: each interval that rests on one names it
and says what few and many would give.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Latent:
    """A stated number of unknown speakers of a corpus's test clips."""

    few: int
    """The least that is plausible: the widest interval."""
    stated: int
    """The number that intervals and tests use."""
    many: int
    """The most that is plausible."""
    reason: str
    """Why these."""


LATENT = {
    "csed": Latent(
        5,
        10,
        20,
        "652 clips, half of each gender; the README speaks of school friends and of video clips, "
        "and gives no number",
    ),
    "elderreact": Latent(
        15,
        30,
        46,
        "46 speakers in the corpus, whose identities are not published; 353 of 1323 clips are in "
        "the test part, and nobody says whose",
    ),
}
"""Corpus -> its speakers."""
UNDOCUMENTED = Latent(5, 10, 20, "nothing is published")
"""Any other corpus with clips of unknown speakers."""
UNEQUAL = 1.25
"""Speakers do not have equally many clips: clips of a latent speaker, as the design effect counts
them, over their mean, which is 1 + 0.5^2 where the standard deviation is half the mean."""
CORRELATIONS = {"few": 0.15, "stated": 0.10, "many": 0.05}
"""Intraclass correlation of one speaker's clips where a run has no corpus of known speakers to
carry it over from; the largest goes with the fewest speakers."""


def latent_speakers(corpus: str) -> Latent:
    """The stated speakers of a corpus.

    >>> latent_speakers("csed").stated
    10
    """
    return LATENT.get(corpus, UNDOCUMENTED)
