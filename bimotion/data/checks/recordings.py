"""Recordings held against the list of published files: a known name with other bytes, and which of
two files of one name is the true one."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import Finding
from bimotion.data import published
from bimotion.data.manifest import Manifest
from bimotion.io import files

CONVERTED_SHARE = 0.5
"""Of the clips: where more than these have other bytes, the whole copy was converted."""


def foreign(manifest: Manifest, corpus: str, heard: pd.DataFrame) -> list[Finding]:
    """Clips whose file is not the published one of its name; one finding for all of a copy that was
    converted.

    Args:
        manifest: Of the corpora.
        corpus: Its name.
        heard: Made by `inspect`: column `file` has the SHA-256 of each clip's file.
    """
    expected = published.by_name(corpus)
    if not expected or corpus in manifest.synthetic:
        return []
    rows = manifest.table[manifest.table["corpus"] == corpus]
    digests = heard["file"].dropna()
    compared = [
        (clip, path, known.sha256, digests[clip])
        for clip, path in zip(rows["id"], rows["path"], strict=True)
        if clip in digests.index and (known := expected.get(_name(path)))
    ]
    findings = [
        Finding("foreign", corpus, clip, f"{path}: sha256 {digest[:12]}, published {sha256[:12]}")
        for clip, path, sha256, digest in compared
        if sha256 != digest
    ]
    if len(findings) <= CONVERTED_SHARE * len(compared):
        return findings
    detail = f"{len(findings)} of {len(compared)} files"
    return [Finding("converted", corpus, CORPORA[corpus].card.title, detail)]


def resolved(manifest: Manifest, corpus: str, findings: list[Finding]) -> list[Finding]:
    """The same findings, but that conflicts say which of the files is the published one."""
    expected = published.by_name(corpus)
    conflicts = {finding.where for finding in findings if finding.kind == "conflict"}
    if not expected or not conflicts:
        return findings
    root = manifest.roots[corpus]
    paths: dict[str, list[str]] = {}
    for clip in CORPORA[corpus].read(Tree(root)).utterances:
        if clip.id in conflicts and clip.path:
            paths.setdefault(clip.id, []).append(clip.path)
    statements = {}
    for identifier, copies in paths.items():
        true = [path for path in copies if _is_published(root / path, expected)]
        statements[identifier] = f"the published one: {', '.join(true) or 'none of them'}"
    return [
        replace(finding, detail=f"{finding.detail}; {statements[finding.where]}")
        if finding.kind == "conflict" and finding.where in statements
        else finding
        for finding in findings
    ]


def _is_published(path: Path, expected: dict[str, published.Published]) -> bool:
    known = expected.get(path.name.lower())
    return known is not None and files.digest(path) == known.sha256


def _name(path: str) -> str:
    return path.rpartition("/")[2].lower()
