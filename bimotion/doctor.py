"""The corpus doctor: is each corpus there, whole and sound? Damage is told apart from defects of every true copy."""

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from bimotion.audio import SILENCE_PEAK
from bimotion.corpora import CORPORA, EXTENSION_CORPORA, corpus_named
from bimotion.errors import CorpusAmbiguous, CorpusMalformed, CorpusNotFound, MissingExtra, some
from bimotion.inspection import inspect
from bimotion.manifest import Manifest, build
from bimotion.progress import Progress
from bimotion.tables import Table
from bimotion.utterance import FINDINGS, UNUSABLE, Finding


@dataclass(frozen=True)
class Diagnosis:
    """State of one corpus.

    n_utterances   usable clips, of n_published
    problems       findings that make clips unusable, or that no true copy has
    harmless       defects that every true copy has, second copies of a clip, sound files that are no clips
    """

    corpus: str
    folder: str | None
    n_utterances: int
    n_published: int
    problems: list[Finding]
    harmless: list[Finding]
    synthetic: bool = False

    @property
    def state(self) -> str:
        if self.folder is None:
            return "optional, not found" if self.corpus in EXTENSION_CORPORA else "not found"
        if any(finding.kind == "malformed" for finding in self.problems):
            return "malformed"
        if any(finding.kind in UNUSABLE for finding in self.problems):
            return "incomplete"
        if self.problems:
            return "odd"
        return "synthetic" if self.synthetic else "complete"


def diagnose(
    root: str | os.PathLike | None,
    progress: Progress,
    *,
    locations: Mapping[str, str | os.PathLike] | None = None,
    listen: bool = True,
) -> list[Diagnosis]:
    """Diagnosis of every corpus of the registry. `listen`: decode all clips, to find silence, duplicates and broken sound.

    Raises CorpusNotFound where no corpus at all is found below the root.
    """
    locations = {corpus_named(name).name: place for name, place in (locations or {}).items()}
    diagnoses = [
        _diagnosis(name, root, {name: locations[name]} if name in locations else {}, progress, listen) for name in CORPORA
    ]
    if all(diagnosis.folder is None for diagnosis in diagnoses):
        build(root, locations=locations)  # raises, saying what the folder holds instead
    return diagnoses


def _diagnosis(name: str, root, locations: Mapping[str, str | os.PathLike], progress: Progress, listen: bool) -> Diagnosis:
    card = CORPORA[name].card
    try:
        manifest = build(root, corpora=[name], locations=locations, progress=progress)
    except CorpusNotFound:
        if locations:
            raise  # a folder that the user named is not an absent corpus
        return Diagnosis(name, None, 0, card.n_utterances, [], [])
    except (CorpusMalformed, CorpusAmbiguous, MissingExtra) as error:
        kind = "needs an extra" if isinstance(error, MissingExtra) else "malformed"
        return Diagnosis(name, str(root), 0, card.n_utterances, [Finding(kind, name, card.title, str(error))], [])
    rows = manifest.table
    clip_of = dict(zip(rows["path"], rows["id"], strict=True))
    findings = list(manifest.findings)
    findings += _heard(name, manifest, progress) if listen else []
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
    return finding.kind in ("copy", "unrecognised") or finding.kind in (known.get(clip), known.get("*"))


def _heard(name: str, manifest: Manifest, progress: Progress) -> list[Finding]:
    heard = inspect(manifest, name, progress)
    findings = [Finding("unreadable", name, clip, problem) for clip, problem in heard["problem"].dropna().items()]
    quiet = heard.index[heard["peak"] < SILENCE_PEAK]
    findings += [Finding("silent", name, clip, f"peak {heard.at[clip, 'peak']:.6f}") for clip in quiet]
    alike = heard.dropna(subset="sha256").drop(index=quiet).groupby("sha256").groups.values()
    for first, *others in sorted(sorted(clips) for clips in alike):
        findings += [Finding("duplicate", name, clip, f"of {first}") for clip in others]
    return findings


def as_table(diagnoses: list[Diagnosis]) -> Table:
    """One line a corpus; each kind of finding with its first five and the total below."""
    table = Table("Corpora", ["corpus", "state", "clips", "of", "folder"])
    for diagnosis in diagnoses:
        table.rows.append(
            [
                diagnosis.corpus,
                diagnosis.state,
                str(diagnosis.n_utterances),
                str(diagnosis.n_published),
                diagnosis.folder or CORPORA[diagnosis.corpus].card.url,
            ]
        )
        for title, findings in (("", diagnosis.problems), ("harmless: ", diagnosis.harmless)):
            kinds: dict[str, list[str]] = defaultdict(list)
            for finding in findings:
                kinds[finding.kind].append(f"{finding.where} ({finding.detail})" if finding.detail else finding.where)
            for kind, names in kinds.items():
                table.notes.append(f"{diagnosis.corpus}: {title}{len(names)} {kind} ({FINDINGS[kind]}): {some(names)}")
    if absent := [diagnosis.corpus for diagnosis in diagnoses if diagnosis.state.startswith("optional")]:
        table.notes.append(f"optional: {', '.join(absent)}: for protocol extension alone")
    return table
