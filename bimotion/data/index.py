"""The index of one corpus: its utterances with the header of every file, and findings; cached until
a file changes."""

import filecmp
import hashlib
import json
import os
import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bimotion.corpora.card import Corpus, Reading, Statements, checked_age
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
    "votes": pa.list_(pa.list_(pa.string())),
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
    """One corpus on this disk."""

    table: pd.DataFrame
    """A row an utterance, columns of COLUMNS; n_frames is 0 where there is no usable file."""
    findings: list[Finding]
    root: Path
    """Its folder (in the cache, where it came as an archive)."""
    state: str
    """Hash of the folder's place and state (names, sizes, times): the key of whatever is derived
    from it."""
    synthetic: bool
    """Made by `bimotion data synth`: the folder, one above it or any of its clips bears the
    mark."""


def index(corpus: Corpus, tree: Tree, progress: Progress) -> Index:
    """Index of a corpus from the cache, or made and cached; one process at a time. Raises
    CorpusMalformed."""
    root = os.fspath(tree.root).encode("utf-8", "surrogateescape")
    address = hashlib.sha256(root).hexdigest()[:16]
    folder = files.cache_dir() / "index" / f"{corpus.name}-{address}"
    state = f"{corpus.version}.{audio.version()}-{tree.signature}"
    cached = _cached(tree, folder, state, lambda line: None)
    if cached is None:
        with files.locked(folder.with_suffix(".lock")):
            cached = _cached(tree, folder, state, progress.say) or _made(
                corpus, tree, folder, state, progress
            )
    tree, table = cached
    findings = [Finding(**finding) for finding in json.loads(table.schema.metadata[b"findings"])]
    rows = table.replace_schema_metadata(None).to_pandas()
    marked = any(file.name == SYNTHETIC_MARK for file in tree.files)
    above = any((parent / SYNTHETIC_MARK).exists() for parent in tree.root.parents)
    synthetic = marked or above or bool(rows["synthetic"].any())
    return Index(rows, findings, tree.root, f"{address}-{state}", synthetic)


def _cached(
    tree: Tree, folder: Path, state: str, say: Callable[[str], None]
) -> tuple[Tree, pa.Table] | None:
    """The tree that is read (in the cache, where it came as an archive) and its index, where both
    are there and whole."""
    content = files.read_sealed(folder / f"{state}.index", say)
    if content is None:
        return None
    table = pq.read_table(pa.BufferReader(content))
    signature = table.schema.metadata[b"unpacked"].decode()
    target = folder / f"unpacked-{state}"
    if not signature:
        return tree, table
    if target.is_dir() and (unpacked := Tree(target)).signature == signature:
        return unpacked, table
    say(f"{target}: damaged (files are missing or were changed), unpacked again")
    return None


def _made(
    corpus: Corpus, tree: Tree, folder: Path, state: str, progress: Progress
) -> tuple[Tree, pa.Table]:
    """Read a corpus and keep its index, for `_cached`; what the folder holds of earlier states is
    removed."""
    target, kept = folder / f"unpacked-{state}", folder / f"{state}.index"
    note = folder / f"{state}.unpacked"
    unpacked = _unpacked(corpus, tree, target, note, progress) if corpus.unpack else None
    tree = tree if unpacked is None else unpacked
    table, findings = _read(corpus, tree, progress)
    notes = {
        "findings": json.dumps([asdict(finding) for finding in findings]),
        "unpacked": "" if unpacked is None else unpacked.signature,
    }
    table, sink = table.replace_schema_metadata(notes), pa.BufferOutputStream()
    pq.write_table(table, sink)
    files.write_sealed(kept, sink.getvalue().to_pybytes())
    files.remove_others(folder, keep=(kept, target, note))
    return tree, table


def _unpacked(
    corpus: Corpus, tree: Tree, target: Path, note: Path, progress: Progress
) -> Tree | None:
    """The archive of a corpus unpacked into the cache; None where it came plain. `note`: the
    signature of what was unpacked, so that a reader that fails afterwards costs no second time."""
    if target.is_dir():
        signature = files.read_sealed(note, lambda line: None)
        if signature is not None and (unpacked := Tree(target)).signature.encode() == signature:
            return unpacked
        files.remove_folder(target)
    with files.folder_written(target) as temporary, progress.task(f"unpacking {corpus.card.title}"):
        if not corpus.unpack(tree, temporary):
            return None
    unpacked = Tree(target)
    files.write_sealed(note, unpacked.signature.encode())
    return unpacked


def _read(corpus: Corpus, tree: Tree, progress: Progress) -> tuple[pa.Table, list[Finding]]:
    """Rows and findings of a corpus, with the header of every file probed."""
    reading = corpus.read(tree)
    _check_listing(tree, reading)
    utterances, findings = _one_file_each(reading.utterances, tree)
    findings = reading.findings + findings + _unrecognised(corpus, tree, reading)
    work = _headers(tree.root, utterances)
    label = f"indexing {corpus.card.title}"
    headers = list(progress.track(work, len(utterances), label))
    for utterance, header in zip(utterances, headers, strict=True):
        findings += _header_findings(corpus, utterance, header)
    rows = {name: [getattr(utterance, name) for utterance in utterances] for name in FIELDS}
    for name in COLUMNS.keys() - set(FIELDS):
        rows[name] = [getattr(header, name) for header in headers]
    return pa.table(rows, schema=pa.schema(COLUMNS.items())), findings


def _unrecognised(corpus: Corpus, tree: Tree, reading: Reading) -> list[Finding]:
    """Sound files that the reader neither used nor spoke of."""
    spoken_of = {utterance.path for utterance in reading.utterances}
    spoken_of |= {finding.where for finding in reading.findings}
    paths = (file.path for file in tree.sounds)
    return [Finding("unrecognised", corpus.name, path) for path in paths if path not in spoken_of]


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
    paths = [utterance.path or "" for utterance in reading.utterances]
    paths += [finding.where for finding in reading.findings]
    # what is not UTF-8 was read as lone surrogates
    if foreign := [path for path in paths if re.search("[\ud800-\udfff]", path)]:
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
    """The header of each utterance's file.

    Threads wait for the interpreter's lock: several take four times as long as one, unless each
    waits for its file, as from a network, which the first files tell.
    """

    def probe(utterance: Utterance) -> audio.Header:
        if utterance.path is None:
            return audio.Header(0, 0, 0, "", "missing")
        return audio.header(root / utterance.path)

    seconds = []
    for utterance in utterances[:N_TRIED]:
        started = time.perf_counter()
        header = probe(utterance)
        seconds.append(time.perf_counter() - started)
        yield header
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
    by_id: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        by_id[utterance.id].append(utterance)
    chosen, findings = [], []
    for identifier, copies in sorted(by_id.items()):
        first, *rest = sorted(copies, key=_preference)
        alike = {_suffix(first)} | (LOSSLESS if _suffix(first) in LOSSLESS else set())
        paths = [first.path, *(copy.path for copy in rest if _suffix(copy) in alike)]
        if len(paths) > 1 and len(contents := _contents(tree, paths)) > 1:
            detail = "; ".join(f"{text}: {', '.join(same)}" for text, same in contents.items())
            findings.append(Finding("conflict", first.corpus, identifier, detail))
            first = replace(first, path=None)
        else:
            of = f"of {first.path}"
            findings += [Finding("copy", first.corpus, copy.path, of) for copy in rest]
        chosen.append(first)
    return chosen, findings


def _contents(tree: Tree, paths: list[str]) -> dict[str, list[str]]:
    """Samples, in a word -> the files that hold them; files that are equal byte by byte are not
    decoded."""
    first, *rest = (tree.root / path for path in paths)
    if all(filecmp.cmp(first, path, shallow=False) for path in rest):
        return {"equal": paths}
    contents: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        header = audio.header(tree.root / path)
        text = header.problem
        if not text:
            try:
                sha256 = audio.content(tree.root / path).sha256
                text = f"{header.duration_s:.3f} s, {sha256[:8]}"
            except AudioError:
                text = "unreadable"
        contents[text].append(path)
    return contents


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
        detail = f"{header.sample_rate_hz} Hz, expected {' or '.join(map(str, rates))}"
        findings.append(Finding("rate", corpus.name, utterance.path, detail))
    return findings
