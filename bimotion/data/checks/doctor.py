"""The corpus doctor: is each corpus there, whole and sound? Damage is told apart from defects of
every true copy."""

from collections import Counter, defaultdict
from dataclasses import dataclass

import pandas as pd

from bimotion.corpora import CORPORA, EXTENSION_CORPORA, corpus_named
from bimotion.corpora.utterance import FINDINGS, UNUSABLE, Finding
from bimotion.data.checks.inspection import inspect, near_equal
from bimotion.data.checks.recordings import foreign, resolved
from bimotion.data.checks.replaced import replaced
from bimotion.data.manifest import Manifest, build
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusAmbiguous, CorpusMalformed, CorpusNotFound, MissingExtra, some
from bimotion.io.audio import SILENCE_PEAK
from bimotion.io.progress import Progress
from bimotion.io.tables import Table

SHORT_S = 0.025
LONG_S = 60.0  # the longest utterance of IEMOCAP, the corpus with the longest, has 34 s
FEW_CLIPS, ONE_LENGTH_SHARE = 20, 0.9  # half of URDU's clips have one length each, in every copy


@dataclass(frozen=True)
class Diagnosis:
    """State of one corpus."""

    corpus: str
    folder: str | None
    n_utterances: int
    """Usable clips."""
    n_published: int
    """Clips of a complete copy."""
    problems: list[Finding]
    """Findings that make clips unusable, or that no true copy has."""
    harmless: list[Finding]
    """Defects that every true copy has, second copies of a clip, sound files that are no clips,
    votes that cannot be understood, other bytes than the published ones in nearly all files."""
    synthetic: bool = False

    @property
    def state(self) -> str:
        """not found, malformed, incomplete, odd, synthetic or complete."""
        if self.folder is None:
            return "optional, not found" if self.corpus in EXTENSION_CORPORA else "not found"
        kinds = {finding.kind for finding in self.problems}
        if "malformed" in kinds:
            return "malformed"
        if kinds & UNUSABLE:
            return "incomplete"
        if kinds:
            return "odd"
        return "synthetic" if self.synthetic else "complete"


def diagnose(
    source: CorpusSource, progress: Progress, *, listen: bool = True, deep: bool = False
) -> list[Diagnosis]:
    """Diagnose every corpus of the registry.

    Args:
        source: Where the corpora lie.
        progress: Shows how far it is.
        listen: Decode all clips, to find silence, repeated and broken sound, and implausible
            lengths.
        deep: Read all clips, to find those that were replaced by others of the same size and time
            since the cache was made.

    Raises:
        CorpusNotFound: No corpus at all lies below the root.
    """
    for name in source.locations:
        corpus_named(name)
    diagnoses = [
        _diagnosis(name, source.only(name), progress, listen=listen, deep=deep) for name in CORPORA
    ]
    if all(diagnosis.folder is None for diagnosis in diagnoses):
        build(source)  # raises, saying what the folder holds instead
    return diagnoses


def _diagnosis(
    name: str, source: CorpusSource, progress: Progress, *, listen: bool, deep: bool
) -> Diagnosis:
    card = CORPORA[name].card
    try:
        manifest = build(source, progress=progress)
    except CorpusNotFound:
        if source.locations:
            raise  # a folder that the user named is not an absent corpus
        return Diagnosis(name, None, 0, card.n_utterances, [], [])
    except (CorpusMalformed, CorpusAmbiguous, MissingExtra) as error:
        kind = "needs an extra" if isinstance(error, MissingExtra) else "malformed"
        problem = Finding(kind, name, card.title, str(error))
        return Diagnosis(name, str(source.root), 0, card.n_utterances, [problem], [])
    rows = manifest.table
    clip_of = dict(zip(rows["path"], rows["id"], strict=True))
    findings = list(manifest.findings)
    # first: what is heard next is remembered
    findings += replaced(manifest, name, progress) if deep else []
    if listen:
        findings += [*lengths(name, rows), *_heard(name, manifest, progress)]
        findings += foreign(manifest, name, inspect(manifest, name, progress))
        findings = resolved(manifest, name, findings)
    harmless, problems = [], []
    for finding in findings:
        (harmless if _is_harmless(finding, clip_of, card.known or {}) else problems).append(finding)
    return Diagnosis(
        corpus=name,
        folder=str(manifest.roots[name]),
        n_utterances=len(rows),
        n_published=card.n_utterances,
        problems=problems,
        harmless=harmless,
        synthetic=name in manifest.synthetic,
    )


def _is_harmless(finding: Finding, clip_of: dict[str, str], known: dict[str, str]) -> bool:
    clip = clip_of.get(finding.where, finding.where)
    harmless = ("copy", "unrecognised", "votes", "converted")
    return finding.kind in (*harmless, known.get(clip), known.get("*"))


def oddities(name: str, manifest: Manifest, progress: Progress) -> dict[str, int]:
    """Count what is odd about the clips of a corpus that can be used, by kind.

    Every clip is listened to (once: what was heard is kept in the cache), so that the same files
    give the same numbers on every machine.
    """
    kinds = [
        finding.kind
        for finding in manifest.findings
        if finding.corpus == name and finding.kind in ("contradiction", "conflict", "rate")
    ]
    heard = _heard(name, manifest, progress)
    heard += lengths(name, manifest.table[manifest.table["corpus"] == name])
    return dict(sorted(Counter([*kinds, *(finding.kind for finding in heard)]).items()))


def lengths(name: str, rows: pd.DataFrame) -> list[Finding]:
    """Clips of implausible length, and a corpus whose clips all have the same, by their headers."""
    seconds = rows.set_index("id")["duration_s"]
    findings = [
        Finding(kind, name, clip, f"{s:.3f} s")
        for kind, chosen in (("short", seconds < SHORT_S), ("long", seconds > LONG_S))
        for clip, s in seconds[chosen].items()
    ]
    counts = seconds.round(3).value_counts()
    if len(rows) >= FEW_CLIPS and counts.iloc[0] >= ONE_LENGTH_SHARE * len(rows):
        detail = f"{counts.iloc[0]} of {len(rows)} clips have {counts.index[0]:.3f} s"
        findings.append(Finding("one length", name, CORPORA[name].card.title, detail))
    return findings


def _heard(name: str, manifest: Manifest, progress: Progress) -> list[Finding]:
    heard = inspect(manifest, name, progress)
    problems = heard["problem"].dropna()
    findings = [Finding("unreadable", name, clip, problem) for clip, problem in problems.items()]
    quiet = heard[heard["peak"] < SILENCE_PEAK]
    findings += [
        Finding("silent", name, clip, f"peak {peak:.6f}") for clip, peak in quiet["peak"].items()
    ]
    sounding = heard.dropna(subset="sha256").drop(index=quiet.index)
    constant = sounding[sounding["is_constant"].astype(bool)]
    findings += [
        Finding("constant", name, clip, f"all {peak:.6f}")
        for clip, peak in constant["peak"].items()
    ]
    sounding = sounding.drop(index=constant.index)
    labels = manifest.table.set_index("id")["emotions"].map(tuple)
    for clips in sorted(sorted(clips) for clips in sounding.groupby("sha256").groups.values()):
        for clip in clips[1:]:
            other = next((twin for twin in clips if labels[twin] != labels[clip]), None)
            kind, of = ("contradicting", other) if other else ("duplicate", clips[0])
            findings.append(Finding(kind, name, clip, f"of {of}"))
    different = sounding.sort_index().drop_duplicates("sha256")
    alike: dict[str, Finding] = {}  # of several alike each but the first once, as of equal samples
    for first, second, how in near_equal(manifest, name, different, progress):
        alike.setdefault(second, Finding("near duplicate", name, second, f"of {first}: {how}"))
    return findings + list(alike.values())


def as_table(diagnoses: list[Diagnosis]) -> Table:
    """One line a corpus; each kind of finding with its first five and the total below."""
    table = Table("Corpora", ["corpus", "state", "clips", "of", "folder"])
    for diagnosis in diagnoses:
        clips = [str(diagnosis.n_utterances), str(diagnosis.n_published)]
        folder = diagnosis.folder or CORPORA[diagnosis.corpus].card.url
        table.rows.append([diagnosis.corpus, diagnosis.state, *clips, folder])
        table.notes += _notes(f"{diagnosis.corpus}: ", diagnosis.problems)
        table.notes += _notes(f"{diagnosis.corpus}: harmless: ", diagnosis.harmless)
    if absent := [
        diagnosis.corpus for diagnosis in diagnoses if diagnosis.state.startswith("optional")
    ]:
        table.notes.append(f"optional: {', '.join(absent)}: only for protocol extension")
    return table


def _notes(opening: str, findings: list[Finding]) -> list[str]:
    """A line a kind of finding."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        detail = f" ({finding.detail})" if finding.detail else ""
        kinds[finding.kind].append(f"{finding.where}{detail}")
    return [
        f"{opening}{len(names)} {kind} ({FINDINGS[kind]}): {some(names)}"
        for kind, names in kinds.items()
    ]
