"""One recorded utterance and everything that is known of it. It knows no split and no class
number."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

AgeSource = Literal["measured", "stated", "assumed"]
Votes = tuple[tuple[str, ...], ...]
"""What each rater of a clip chose: canonical emotions, one or several."""
AGE_SOURCES: dict[str, str] = {
    "measured": "recorded for this speaker in the corpus's own metadata",
    "stated": "given in the corpus's description or file names",
    "assumed": "set by the BiMotion paper's code, outside its corpora by this package; the "
    "corpus says nothing",
}
GENDERS = ("f", "m")
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One clip as its corpus describes it, before any sound is read."""

    id: str
    """Stable name, `<corpus>/<stem>`, the same in every layout: `tess/OAF_back_angry`."""
    corpus: str
    """Name of the corpus, `tess`."""
    path: str | None
    """POSIX path below the corpus's folder; None: the corpus lists the clip, the file is
    missing."""
    speaker: str | None
    """Corpus-prefixed, `tess/OAF`; None: not published (the corpus's card says why)."""
    sentence: str | None
    """Corpus-prefixed id of the spoken text, where known."""
    language: str
    """ISO 639-3."""
    age_years: float
    """Age of the speaker; `age_source` says how it is known."""
    age_source: AgeSource
    gender: str
    """f or m."""
    emotions: tuple[str, ...]
    """Canonical names; several or none for multi-label corpora."""
    native_label: str
    """Label as the corpus writes it."""
    official_split: str | None = None
    """train / validation / test where the corpus publishes a split."""
    votes: Votes | None = None
    """The choice of each rater, by sound alone where the corpus tells;
    None: unknown. No label, part or score of a model is made of them."""


FIELDS = tuple(field.name for field in dataclasses.fields(Utterance))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a file that a user must know; nothing is left out without one."""

    kind: str
    """A key of FINDINGS."""
    corpus: str
    """Name of the corpus."""
    where: str
    """Path below the corpus's folder, or utterance id where there is no file."""
    detail: str = ""
    """What exactly, in a few words."""


FINDINGS: dict[str, str] = {
    "missing": "named by the corpus's own lists, but no file",
    "pointer": "git-lfs pointer text instead of sound: run `git lfs pull` in the corpus's folder",
    "empty": "no bytes or no samples",
    "truncated": "ends before its header says: copy it again",
    "unreadable": "no audio decoder understands it",
    "unlabelled": "sound without an entry in the corpus's label files",
    "contradiction": "the corpus's own facts about it disagree",
    "conflict": "files with other samples bear this utterance's name: find out which is true",
    "copy": "a second copy of an utterance, ignored",
    "votes": "raters' votes that cannot be understood: the clip has none",
    "unlisted": "not in the published file list, so in no split",
    "unrecognised": "a sound file whose name is no clip's, ignored",
    "needs an extra": "an optional package is needed to read it",
    "malformed": "the corpus's label or metadata files cannot be understood",
    "no cell": "speaker's age is in no age group (under 20 or unknown)",
    "aiff": "AIFF data in a file named .wav",
    "rate": "sampling rate other than the corpus's own",
    "silent": "no sample louder than -80 dB of full scale",
    "constant": "every sample has the same value",
    "duplicate": "same samples as another clip",
    "contradicting": "same samples as another clip, under another label: one of the two labels "
    "is wrong",
    "near duplicate": "same recording as another clip but for gain or a shift in time",
    "short": "shorter than one frame of a speech model (25 ms)",
    "long": "longer than a minute: expected one utterance a file",
    "one length": "nearly all clips have one length: cut or padded, in another copy than the "
    "published one",
    "foreign": "another recording, or a damaged one: its bytes are not the published ones",
    "converted": "a copy whose files are not the published ones byte by byte, though their names "
    "are: scores may differ from those on the published files",
    "replaced": "another file than the cache was made from, of the same size and time: `touch` "
    "it, and it is read anew",
}
UNUSABLE = frozenset(
    {"malformed", "missing", "pointer", "empty", "truncated", "unreadable", "conflict"}
)
"""Kinds after which a published clip cannot be used: the corpus is then incomplete. (A clip that is
`unlabelled` or in `contradiction` is `missing` as well where the published list has it.)"""
NO_PART = frozenset({"unlisted", "no cell"})
"""Kinds of usable clips that no split has a part for."""
