"""The index of one corpus: its utterances with the header of every file, and findings; cached until
a file changes."""

import filecmp
import hashlib
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bimotion.corpora.card import SOUND_SUFFIXES, Corpus, Reading, Statements, checked_age
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import FIELDS, Finding, Utterance
from bimotion.errors import AudioError, CorpusMalformed, some
from bimotion.io import audio, files
from bimotion.io.progress import Progress

SYNTHETIC_MARK = "SYNTHETIC.json"
"""File that `bimotion data synth` leaves in each folder it makes; each of its clips says so in its
header too."""

COLUMNS = {
    **dict.fromkeys(FIELDS, pa.string()),
    "age_years": pa.float64(),
    "emotions": pa.list_(pa.string()),
    "n_frames": pa.int64(),
    "sample_rate_hz": pa.int32(),
    "n_channels": pa.int8(),
    "container": pa.string(),
    "synthetic": pa.bool_(),
}
LOSSLESS = frozenset({"wav", "flac", "aif", "aiff"})
N_TRIED, SLOW_S = 64, 1e-3
"""Files that tell how long one takes to open, and from what median on several are opened at a
time."""


@dataclass(frozen=True)
class Index:
    """One corpus on this disk.

    table       a row an utterance, columns of COLUMNS; n_frames is 0 where there is no usable file
    root        its folder (in the cache, where it came as an archive)
    state       hash of the folder's place and state (names, sizes, times): the key of whatever is
                derived from it
    synthetic   made by `bimotion data synth`: the folder, one above it or any of its clips bears
                the mark
    """

    table: pd.DataFrame
    findings: list[Finding]
    root: Path
    state: str
    synthetic: bool


def index(corpus: Corpus, tree: Tree, progress: Progress) -> Index:
    """Index of a corpus from the cache, or made and cached; one process at a time. Raises
    CorpusMalformed."""
    place = hashlib.sha256(os.fspath(tree.root).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = files.cache_dir() / "index" / f"{corpus.name}-{place}"
    state = f"{corpus.version}.{audio.version()}-{tree.signature}"
    found = _whole(corpus, tree, folder, state, lambda line: None)
    if found is None:
        with files.locked(folder.with_suffix(".lock")):
            found = _whole(corpus, tree, folder, state, progress.say) or _made(
                corpus, tree, folder, state, progress
            )
    tree, content = found
    table = pq.read_table(pa.BufferReader(content))
    findings = [Finding(**finding) for finding in json.loads(table.schema.metadata[b"findings"])]
    rows = table.replace_schema_metadata(None).to_pandas()
    marked = any(file.name == SYNTHETIC_MARK for file in tree.files)
    above = any((parent / SYNTHETIC_MARK).exists() for parent in tree.root.parents)
    return Index(
        rows,
        findings,
        tree.root,
        f"{place}-{state}",
        marked or above or bool(rows["synthetic"].any()),
    )


_PLAIN = b"plain"


def _whole(
    corpus: Corpus, tree: Tree, folder: Path, state: str, say: Callable[[str], None]
) -> tuple[Tree, bytes] | None:
    """The tree that is read and the index of it, from the cache, where both are there and whole."""
    unpacked = _unpacked(tree, folder, state, say) if corpus.unpack else tree
    content = None if unpacked is None else files.read_sealed(folder / f"{state}.index", say)
    return None if content is None else (unpacked, content)


def _made(
    corpus: Corpus, tree: Tree, folder: Path, state: str, progress: Progress
) -> tuple[Tree, bytes]:
    """As `_whole`, read and written; what the folder holds of earlier states is removed."""
    unpacked, note = folder / f"unpacked-{state}", folder / f"unpacked-{state}.note"
    if corpus.unpack:
        read = _unpacked(tree, folder, state, lambda line: None) or _unpack(
            corpus, tree, unpacked, progress
        )
        files.write_sealed(note, _PLAIN if read is tree else read.signature.encode())
        tree = read
    table, findings = _read(corpus, tree, progress)
    notes = {b"findings": json.dumps([asdict(finding) for finding in findings]).encode()}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(notes), sink)
    target = folder / f"{state}.index"
    files.write_sealed(target, content := sink.getvalue().to_pybytes())
    files.remove_others(folder, keep=(target, unpacked, note))
    return tree, content


def _unpacked(tree: Tree, folder: Path, state: str, say: Callable[[str], None]) -> Tree | None:
    """The plain layout of a corpus: in the cache, where it came as an archive; None where that is
    not known, or not whole (a file that is missing, or of another size or time than when it was
    unpacked)."""
    note = files.read_sealed(folder / f"unpacked-{state}.note", say)
    if note is None or note == _PLAIN:
        return None if note is None else tree
    target = folder / f"unpacked-{state}"
    found = Tree(target) if target.is_dir() else None
    if found is None or found.signature.encode() != note:
        say(f"{target}: damaged (files are missing or were changed), unpacked again")
        return None
    return found


def _unpack(corpus: Corpus, tree: Tree, target: Path, progress: Progress) -> Tree:
    """The archive of a corpus unpacked into the cache; the tree itself where it came plain."""
    if target.is_dir():
        files.remove_folder(target)
    with files.folder_written(target) as temporary, progress.task(f"unpacking {corpus.card.title}"):
        if not corpus.unpack(tree, temporary):
            return tree
    return Tree(target)


def _read(corpus: Corpus, tree: Tree, progress: Progress) -> tuple[pa.Table, list[Finding]]:
    """Rows and findings of a corpus, with the header of every file probed."""
    reading = corpus.read(tree)
    _check_listing(tree, reading)
    utterances, findings = _one_file_each(reading.utterances, tree)
    findings = reading.findings + findings + _unrecognised(corpus, tree, reading)
    headers = list(
        progress.track(
            _headers(tree.root, utterances), len(utterances), f"indexing {corpus.card.title}"
        )
    )
    for utterance, header in zip(utterances, headers, strict=True):
        findings += _header_findings(corpus, utterance, header)
    rows = {name: [getattr(utterance, name) for utterance in utterances] for name in FIELDS}
    for name in COLUMNS.keys() - set(FIELDS):
        rows[name] = [getattr(header, name) for header in headers]
    return pa.table(rows, schema=pa.schema(COLUMNS.items())), findings


def _unrecognised(corpus: Corpus, tree: Tree, reading: Reading) -> list[Finding]:
    """Sound files that the reader neither used nor spoke of."""
    spoken_of = {u.path for u in reading.utterances} | {
        finding.where for finding in reading.findings
    }
    sound = (file.path for file in tree.files if file.suffix in SOUND_SUFFIXES)
    return [Finding("unrecognised", corpus.name, path) for path in sound if path not in spoken_of]


def _check_listing(tree: Tree, reading: Reading) -> None:
    """Raise CorpusMalformed for clips that the corpus's lists name twice, for speakers of whom two
    facts differ, and for paths that cannot be written down."""
    n_listed = Counter(utterance.id for utterance in reading.utterances)
    if twice := sorted({u.id for u in reading.utterances if u.path is None and n_listed[u.id] > 1}):
        raise CorpusMalformed(
            f"{tree.root}: expected one entry a clip in its label files, found several for "
            f"{some(twice)}"
        )
    for utterance in reading.utterances:
        checked_age(utterance.age_years, f"{tree.root}: {utterance.id}")
    _check_speakers(tree, reading.utterances)
    paths = [u.path for u in reading.utterances if u.path] + [
        finding.where for finding in reading.findings
    ]
    if foreign := [
        path for path in paths if any("\ud800" <= character <= "\udfff" for character in path)
    ]:
        shown = some(path.encode("utf-8", "backslashreplace").decode() for path in foreign)
        raise CorpusMalformed(
            f"{tree.root}: expected file names in UTF-8, found {shown}; rename these files or "
            "folders"
        )


def _check_speakers(tree: Tree, utterances: list[Utterance]) -> None:
    """Raise CorpusMalformed for a speaker of two genders, or of two ages between which more than a
    birthday lies."""
    genders = Statements("speaker")
    first: dict[str, Utterance] = {}
    for utterance in utterances:
        if utterance.speaker is None:
            continue
        genders.add(utterance.speaker, utterance.gender, f"{tree.root}: {utterance.id}")
        known = first.setdefault(utterance.speaker, utterance)
        if abs(utterance.age_years - known.age_years) > 1:
            raise CorpusMalformed(
                f"{tree.root}: expected one age of speaker {known.speaker}, found "
                f"{known.age_years:g} ({known.id}) and {utterance.age_years:g} "
                f"({utterance.id}); find out which is true and remove the other"
            )


def _headers(root: Path, utterances: list[Utterance]) -> Iterator[audio.Header]:
    """Of each utterance's file. Threads wait for the interpreter's lock: several take four times as
    long as one, unless each waits for its file, as from a network, which the first files tell."""

    def probe(utterance: Utterance) -> audio.Header:
        if utterance.path is None:
            return audio.Header(0, 0, 0, "", "missing")
        return audio.header(root / utterance.path)

    seconds = []
    for utterance in utterances[:N_TRIED]:
        started = time.perf_counter()
        found = probe(utterance)
        seconds.append(time.perf_counter() - started)
        yield found
    if seconds and statistics.median(seconds) > SLOW_S:
        with ThreadPoolExecutor(8) as pool:
            yield from pool.map(probe, utterances[N_TRIED:])
    else:
        yield from map(probe, utterances[N_TRIED:])


def _one_file_each(
    utterances: list[Utterance], tree: Tree
) -> tuple[list[Utterance], list[Finding]]:
    """One utterance an id, sorted by id: a .wav before other formats, then the file nearest to the
    root.

    Further files are findings: `copy`, or `conflict` (none of them is used) where samples differ.
    Sound in a lossy format differs from its original, and from none that it is compared with here.
    """
    by_id: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_id.setdefault(utterance.id, []).append(utterance)
    chosen, findings = [], []
    for identifier in sorted(by_id):
        first, *rest = sorted(by_id[identifier], key=_preference)
        alike = {_suffix(first)} | (LOSSLESS if _suffix(first) in LOSSLESS else set())
        paths = [first.path, *(other.path for other in rest if _suffix(other) in alike)]
        if len(paths) > 1 and len(samples := _samples_of(tree, paths)) > 1:
            detail = "; ".join(f"{sample}: {', '.join(same)}" for sample, same in samples.items())
            findings.append(Finding("conflict", first.corpus, identifier, detail))
            first = replace(first, path=None)
        else:
            findings += [
                Finding("copy", first.corpus, other.path, f"of {first.path}") for other in rest
            ]
        chosen.append(first)
    return chosen, findings


def _samples_of(tree: Tree, paths: list[str]) -> dict[str, list[str]]:
    """What the samples of some files are, in a word -> the files; files that are equal byte by byte
    are not decoded."""
    first, *others = (tree.root / path for path in paths)
    if all(filecmp.cmp(first, other, shallow=False) for other in others):
        return {"equal": paths}
    found: dict[str, list[str]] = {}
    for path in paths:
        header = audio.header(tree.root / path)
        try:
            sample = (
                header.problem
                or f"{header.duration_s:.3f} s, {audio.content(tree.root / path).sha256[:8]}"
            )
        except AudioError:
            sample = "unreadable"
        found.setdefault(sample, []).append(path)
    return found


def _suffix(utterance: Utterance) -> str:
    return (utterance.path or "").rpartition(".")[2].lower()


def _preference(utterance: Utterance) -> tuple:
    path = utterance.path or ""
    return (_suffix(utterance) != "wav", path.count("/"), path)


def _header_findings(corpus: Corpus, utterance: Utterance, header: audio.Header) -> list[Finding]:
    if utterance.path is None:
        # `missing` is said once for all corpora, from their lists; `conflict` was said already
        return []
    if header.problem:
        return [Finding(header.problem, corpus.name, utterance.path, header.detail)]
    findings = []
    if header.container == "AIFF" and _suffix(utterance) == "wav":
        findings.append(Finding("aiff", corpus.name, utterance.path))
    rates = corpus.card.sample_rates_hz
    if rates and header.sample_rate_hz not in rates:
        expected = " or ".join(map(str, rates))
        findings.append(
            Finding(
                "rate",
                corpus.name,
                utterance.path,
                f"{header.sample_rate_hz} Hz, expected {expected}",
            )
        )
    return findings
