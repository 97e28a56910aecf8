"""The checked, ordered table of utterances: corpora found on disk, read, their headers probed, the result cached.

`build` scans every sub-folder of the corpora root once (names, sizes, times), finds each corpus by content, and reads it
anew only where something changed. A damaged file never becomes a row: it becomes a Finding.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bimotion import audio, files, groups, roster
from bimotion.corpora import CORPORA, corpus_named
from bimotion.corpus import Corpus, Reading
from bimotion.errors import CorpusAmbiguous, CorpusIncomplete, CorpusMalformed, CorpusNotFound, some
from bimotion.progress import Progress
from bimotion.tree import Tree
from bimotion.utterance import FIELDS, UNUSABLE, Finding, Utterance

INDEX_VERSION = 1
SYNTHETIC_MARK = "SYNTHETIC.json"
"""File that `bimotion data synth` leaves in each folder it makes."""

COLUMNS = {
    **dict.fromkeys(FIELDS, pa.string()),
    "age_years": pa.float64(),
    "emotions": pa.list_(pa.string()),
    "n_frames": pa.int64(),
    "sample_rate_hz": pa.int32(),
    "n_channels": pa.int8(),
    "container": pa.string(),
}


@dataclass(frozen=True)
class Manifest:
    """Utterances of some corpora on this disk.

    table       usable utterances, one row each, sorted by id: fields of Utterance, then n_frames, sample_rate_hz,
                n_channels, container, duration_s, age_group (by true age)
    listed      the same columns for every utterance that the corpora's own lists name, with or without a usable file
    findings    what was left out or is odd
    roots       corpus -> its folder
    states      corpus -> hash of its folder's place and state (names, sizes, times): the key of whatever is derived from it
    synthetic   corpora made by `bimotion data synth`
    """

    table: pd.DataFrame
    listed: pd.DataFrame
    findings: tuple[Finding, ...]
    roots: dict[str, Path]
    states: dict[str, str]
    synthetic: frozenset[str]

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the corpora that were found, sorted."""
        return tuple(sorted(self.roots))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what the usable utterances are and say, 16 hex digits; the same for every layout and folder."""
        return fingerprint(self.table)

    def path(self, corpus: str, path: str) -> Path:
        """Absolute path of an utterance's file."""
        return self.roots[corpus] / path

    def unusable(self, corpus: str) -> list[Finding]:
        """Findings that make clips of a corpus missing."""
        return [finding for finding in self.findings if finding.corpus == corpus and finding.kind in UNUSABLE]

    def require_complete(self, corpora: Iterable[str]) -> None:
        """Raise CorpusIncomplete, naming the first few clips of each kind, unless every clip of the corpora is usable."""
        problems = []
        for name in corpora:
            if name not in self.roots:
                card = corpus_named(name).card
                problems.append(f"{name}: not found (get it: {card.obtain}; {card.url})")
            elif lost := self.unusable(name):
                problems.append(f"{name} ({self.roots[name]}): {summary(lost)}")
        if problems:
            raise CorpusIncomplete(
                "expected complete corpora, found:\n  "
                + "\n  ".join(problems)
                + "\nGo on without these clips by allow_missing=True (--allow-missing), name the corpora to use, or see "
                "`bimotion data doctor ROOT` for the whole list."
            )


def summary(findings: Sequence[Finding]) -> str:
    """`2 missing: a, b; 1 empty: c`: kinds with their totals and first five names."""
    kinds: dict[str, list[str]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding.where)
    return "; ".join(f"{len(names)} {kind}: {some(names)}" for kind, names in kinds.items())


def fingerprint(table: pd.DataFrame) -> str:
    """Hash of facts and lengths of utterances, in order of id; 16 hex digits."""
    facts = [
        "id",
        "speaker",
        "language",
        "age_years",
        "gender",
        "native_label",
        "official_split",
        "n_frames",
        "sample_rate_hz",
    ]
    digest = hashlib.sha256()
    for row in table.sort_values("id")[facts].itertuples(index=False, name=None):
        digest.update(("\t".join("" if value is None or value != value else str(value) for value in row) + "\n").encode())
    return digest.hexdigest()[:16]


def corpora_root(root: str | os.PathLike | None) -> Path:
    """The folder that holds the corpora: the argument, else `BIMOTION_CORPORA`; raises CorpusNotFound."""
    named = root or os.environ.get("BIMOTION_CORPORA")
    if not named:
        raise CorpusNotFound(
            "expected a folder with one sub-folder a corpus: pass it (data_dir=..., --corpora ROOT) or set BIMOTION_CORPORA; "
            "`bimotion data list` says where to get each corpus, `bimotion data synth DIR` makes a synthetic one"
        )
    path = Path(named).expanduser().resolve()
    if not path.is_dir():
        raise CorpusNotFound(
            f"expected a folder with one sub-folder a corpus, found {'a file' if path.exists() else 'nothing'} at {path}"
        )
    return path


def build(
    root: str | os.PathLike | None,
    *,
    corpora: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Manifest of the corpora below a root.

    root         folder with one sub-folder a corpus, any names; None: `BIMOTION_CORPORA`
    corpora      names to read; None: all that are found
    locations    corpus -> its folder, where it lies elsewhere or where two sub-folders look alike

    Raises CorpusNotFound (no such root, nothing recognised), CorpusAmbiguous, CorpusMalformed (label files).
    """
    progress = progress or Progress()
    names = list(CORPORA) if corpora is None else [corpus_named(name).name for name in corpora]
    trees = locate(root, names, locations or {})
    if not trees:
        raise CorpusNotFound(_nothing_found(corpora_root(root), names))
    try:
        indexed = {name: _indexed(CORPORA[name], tree, progress) for name, tree in sorted(trees.items())}
    except CorpusMalformed:
        _refuse_corpus_as_root(root, {name: tree for name, tree in trees.items() if name not in (locations or {})})
        raise
    listed = pd.concat([index.table for index in indexed.values()], ignore_index=True).sort_values("id", ignore_index=True)
    listed["duration_s"] = listed["n_frames"] / listed["sample_rate_hz"].where(listed["sample_rate_hz"] > 0)
    listed["age_group"] = listed["age_years"].map(groups.age_group)
    synthetic = frozenset(name for name, index in indexed.items() if index.synthetic)
    findings = [finding for index in indexed.values() for finding in index.findings]
    for name in indexed:
        if name not in synthetic:
            findings += _missing(name, listed, findings)
    return Manifest(
        table=listed[listed["n_frames"] > 0].reset_index(drop=True),
        listed=listed,
        findings=tuple(findings),
        roots={name: index.root for name, index in indexed.items()},
        states={name: index.state for name, index in indexed.items()},
        synthetic=synthetic,
    )


def _nothing_found(root: Path, names: list[str]) -> str:
    message = f"expected sub-folders that hold {', '.join(names)}; recognised none of them in {root}"
    if here := [name for name in names if CORPORA[name].recognise(Tree(root))]:
        return f"{message}. {_is_itself(here[0], root)}"
    return f"{message} ({some(sorted(path.name for path in root.iterdir())) or 'it is empty'})"


def _is_itself(name: str, root: Path) -> str:
    return f"It looks like {name} itself: pass its parent folder, or --corpus {name}={root}"


def _refuse_corpus_as_root(root: str | os.PathLike | None, trees: dict[str, Tree]) -> None:
    """Raise CorpusNotFound where a sub-folder cannot be read as its corpus, but the root itself can."""
    for name, tree in trees.items():
        if not _reads(CORPORA[name], tree) and _reads(CORPORA[name], whole := Tree(corpora_root(root))):
            raise CorpusNotFound(
                f"expected a folder with one sub-folder a corpus, found {whole.root}. {_is_itself(name, whole.root)}"
            )


def _reads(corpus: Corpus, tree: Tree) -> bool:
    try:
        corpus.read(tree)
    except CorpusMalformed:
        return False
    return True


def locate(root: str | os.PathLike | None, names: Iterable[str], locations: Mapping[str, str | os.PathLike]) -> dict[str, Tree]:
    """Corpus -> scanned folder, by content; explicit locations first. Raises CorpusNotFound, CorpusAmbiguous."""
    names = list(names)
    found: dict[str, Tree] = {}
    for name, place in locations.items():
        path = Path(place).expanduser().resolve()
        tree = Tree(path) if path.is_dir() else None
        if tree is None or not corpus_named(name).recognise(tree):
            raise CorpusNotFound(
                f"expected {corpus_named(name).card.title} at {path}, found {'no file of it' if tree else 'no folder'}"
            )
        found[name] = tree
    wanted = [name for name in names if name not in found]
    if wanted and (root or not found):
        folder = corpora_root(root)
        for child in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            tree = Tree(child)
            for name in wanted:
                if CORPORA[name].recognise(tree):
                    if name in found:
                        raise CorpusAmbiguous(
                            f"expected one folder of {name} in {folder}, found two: {found[name].root.name} and {child.name}; "
                            f"say which: --corpus {name}={child}. Or is the folder {name} itself? Then pass its parent"
                        )
                    found[name] = tree
    return {name: found[name] for name in names if name in found}


@dataclass(frozen=True)
class _Index:
    """A corpus's cached rows (with n_frames = 0 where there is no usable file) and findings."""

    table: pd.DataFrame
    findings: list[Finding]
    root: Path
    state: str
    synthetic: bool


def _indexed(corpus: Corpus, tree: Tree, progress: Progress) -> _Index:
    """Index of a corpus from the cache, or made and cached."""
    key = hashlib.sha256(os.fspath(tree.root).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = files.cache_dir() / "index" / f"{corpus.name}-{key}"
    synthetic = any(file.path == SYNTHETIC_MARK for file in tree.files)
    state = f"{INDEX_VERSION}.{corpus.version}-{tree.signature}"
    if corpus.unpack:
        unpacked = _unpacked(corpus, tree, folder / f"unpacked-{state}", progress)
        tree = unpacked or tree
    target = folder / f"{state}.parquet"
    if not target.exists():
        table, findings = _read(corpus, tree, progress)
        for stale in set(folder.glob("*.parquet")) - {target}:
            stale.unlink(missing_ok=True)
        with files.written(target) as temporary:
            notes = {b"findings": json.dumps([asdict(finding) for finding in findings]).encode()}
            pq.write_table(table.replace_schema_metadata(notes), temporary)
    table = pq.read_table(target)
    findings = [Finding(**finding) for finding in json.loads(table.schema.metadata[b"findings"])]
    return _Index(table.replace_schema_metadata(None).to_pandas(), findings, tree.root, f"{key}-{state}", synthetic)


def _unpacked(corpus: Corpus, tree: Tree, target: Path, progress: Progress) -> Tree | None:
    """The plain layout of a corpus that came as an archive, in the cache; None where it came plain."""
    if not target.is_dir():
        with files.folder_written(target) as temporary, progress.task(f"unpacking {corpus.card.title}"):
            if not corpus.unpack(tree, temporary):
                return None
    return Tree(target)


def _read(corpus: Corpus, tree: Tree, progress: Progress) -> tuple[pa.Table, list[Finding]]:
    """Rows and findings of a corpus, with the header of every file probed."""
    reading = corpus.read(tree)
    _check_listing(tree, reading)
    utterances, findings = _one_file_each(reading.utterances, {file.path: file.n_bytes for file in tree.files})
    findings = reading.findings + findings
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) * 2)) as pool:
        probe = _prober(tree.root)
        headers = list(
            progress.track(pool.map(probe, utterances, chunksize=64), len(utterances), f"indexing {corpus.card.title}")
        )
    for utterance, header in zip(utterances, headers, strict=True):
        findings += _header_findings(corpus, utterance, header)
    rows = {name: [getattr(utterance, name) for utterance in utterances] for name in FIELDS}
    for name in ("n_frames", "sample_rate_hz", "n_channels", "container"):
        rows[name] = [getattr(header, name) for header in headers]
    return pa.table(rows, schema=pa.schema(COLUMNS.items())), findings


def _check_listing(tree: Tree, reading: Reading) -> None:
    """Raise CorpusMalformed for clips that the corpus's lists name twice, and for paths that cannot be written down."""
    n_listed = Counter(utterance.id for utterance in reading.utterances)
    if twice := sorted({u.id for u in reading.utterances if u.path is None and n_listed[u.id] > 1}):
        raise CorpusMalformed(f"{tree.root}: expected one entry a clip in its label files, found several for {some(twice)}")
    paths = [u.path for u in reading.utterances if u.path] + [finding.where for finding in reading.findings]
    if foreign := [path for path in paths if any("\ud800" <= character <= "\udfff" for character in path)]:
        shown = some(path.encode("utf-8", "backslashreplace").decode() for path in foreign)
        raise CorpusMalformed(f"{tree.root}: expected file names in UTF-8, found {shown}; rename these files or folders")


def _prober(root: Path) -> Callable[[Utterance], audio.Header]:
    def probe(utterance: Utterance) -> audio.Header:
        if utterance.path is None:
            return audio.Header(0, 0, 0, "", "missing")
        return audio.header(root / utterance.path)

    return probe


def _one_file_each(utterances: list[Utterance], n_bytes: dict[str, int]) -> tuple[list[Utterance], list[Finding]]:
    """One utterance an id, sorted by id: a .wav before other formats, then the file nearest to the root.

    Further files are findings: `copy`, or `conflict` (none of them is used) where files of one format differ in size.
    """
    by_id: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_id.setdefault(utterance.id, []).append(utterance)
    chosen, findings = [], []
    for identifier in sorted(by_id):
        first, *rest = sorted(by_id[identifier], key=_preference)
        same_format = [other for other in rest if _suffix(other) == _suffix(first)]
        if any(n_bytes[other.path] != n_bytes[first.path] for other in same_format):
            paths = ", ".join(other.path for other in (first, *same_format))
            findings.append(Finding("conflict", first.corpus, identifier, paths))
            first = replace(first, path=None)
        else:
            findings += [Finding("copy", first.corpus, other.path, f"of {first.path}") for other in rest]
        chosen.append(first)
    return chosen, findings


def _suffix(utterance: Utterance) -> str:
    return (utterance.path or "").rpartition(".")[2].lower()


def _preference(utterance: Utterance) -> tuple:
    path = utterance.path or ""
    return (_suffix(utterance) != "wav", path.count("/"), path)


def _header_findings(corpus: Corpus, utterance: Utterance, header: audio.Header) -> list[Finding]:
    if utterance.path is None:
        return []  # `missing` is said once for all corpora, from their lists; `conflict` was said already
    if header.problem:
        return [Finding(header.problem, corpus.name, utterance.path, header.detail)]
    findings = []
    if header.container == "AIFF" and _suffix(utterance) == "wav":
        findings.append(Finding("aiff", corpus.name, utterance.path))
    rates = corpus.card.sample_rates_hz
    if rates and header.sample_rate_hz not in rates:
        expected = " or ".join(map(str, rates))
        findings.append(Finding("rate", corpus.name, utterance.path, f"{header.sample_rate_hz} Hz, expected {expected}"))
    return findings


def _missing(name: str, listed: pd.DataFrame, findings: list[Finding]) -> list[Finding]:
    """Ids of the published file list, or of the corpus's own metadata, for which no file was found."""
    mine = listed[listed["corpus"] == name]
    conflicting = {finding.where for finding in findings if finding.kind == "conflict"}
    absent = set(mine.loc[mine["path"].isna(), "id"]) - conflicting
    if (published := roster.load(name)) is not None:
        absent |= set(published.index) - set(mine["id"])
    elif (short := corpus_named(name).card.n_utterances - len(mine)) > 0:
        return [Finding("missing", name, identifier) for identifier in sorted(absent)] + [
            Finding("missing", name, f"{short} more", "not even in the corpus's own metadata")
        ]
    return [Finding("missing", name, identifier) for identifier in sorted(absent)]
