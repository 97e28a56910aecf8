"""YueMotion: 18 Cantonese speakers aged 21-66 say 10 sentences in six emotions (the BiMotion
paper's own corpus).

    {train,validation,test}_metadata.csv
    split,speaker_id,file_name,gender,age,sentence_id,label_id,label
    data/14_m60_01_4.wav                     <speaker>_<gender><age>_<sentence>_<label>; labels 1-6
    data.tar.bz2                             instead of data/: unpacked into the cache, never beside
    the original
    **/*.parquet                             instead of both: the Hub's Parquet conversion (columns
    audio, split, ...)

The split is official, 50/15/35 % of each speaker's clips. Its adults and elders meet at 60 as
everywhere here; the paper's code draws the line at 59, and only for this corpus.
"""

import bz2
import csv
import gzip
import io
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bimotion.corpora.card import Card, Corpus, Reading, Statements, sounds
from bimotion.corpora.tree import File, Tree
from bimotion.corpora.utterance import PARTS, Finding, Utterance
from bimotion.errors import CorpusMalformed
from bimotion.io import sandbox
from bimotion.io.audio import POINTER

CARD = Card(
    name="yuemotion",
    title="YueMotion",
    cells=("yue_adu", "yue_eld"),
    emotions=("sadness", "fear", "angry", "happiness", "disgust", "neutral"),
    native_labels={
        "anger": "angry",
        "happy": "happiness",
        "sad": "sadness",
        "neutral": "neutral",
        "fear": "fear",
        "disgust": "disgust",
    },
    n_utterances=1080,
    sample_rates_hz=(),
    licence="CC-BY-SA-4.0",
    redistribution="audio",
    url="https://huggingface.co/datasets/CAiRE/YueMotion",
    obtain="hf download CAiRE/YueMotion --repo-type dataset",
    citation="Cahyawijaya et al. 2023, Cross-Lingual Cross-Age Group Adaptation for Low-Resource "
    "Elderly Speech Emotion Recognition, arXiv 2306.14517",
    age_note="recorded per speaker in the metadata and in each file name",
)
GRAMMAR = re.compile(r"(\d{2})_([mf])(\d{2})_(\d{2})_([1-6])", re.IGNORECASE)
LABELS = ("anger", "happy", "sad", "neutral", "fear", "disgust")
METADATA = re.compile(r"(train|validation|test)_metadata\.csv", re.IGNORECASE)
COLUMNS = ("split", "speaker_id", "file_name", "gender", "age", "sentence_id", "label_id", "label")
MAX_CLIPS = 10_000
MAX_CLIP_BYTES = 32 * 1024 * 1024
MAX_BYTES = 4 * 1024**3
# speech packs to a third; an archive that unpacks to far more is none of speech
MAX_FOLD, FREE_BYTES = 50, 64 * 1024 * 1024
MAX_HEADER_BYTES = 1024 * 1024  # of what stands between two files of a tar
MAX_GROUP_BYTES = 512 * 1024 * 1024
LIMITS = sandbox.Limits(memory_bytes=768 * 1024 * 1024, cpu_s=120)  # to read all Parquet files
MAX_FOOTER_BYTES = 1024 * 1024  # of a Parquet file; the Hub's have some kilobytes


def recognise(tree: Tree) -> int:
    """Clips by name, plus metadata tables; Parquet files with its columns where the tree holds
    nothing else.

    The archive alone is not enough: without the tables beside it there is no split.
    """
    plain = sum(1 for _ in sounds(tree, GRAMMAR)) + sum(map(len, _tables(tree).values()))
    return plain or len(_parquets(tree))


def read(tree: Tree) -> Reading:
    """Utterances of a YueMotion folder; raises CorpusMalformed for metadata tables that are missing
    or malformed."""
    tables = _tables(tree)
    if len(tables) != len(PARTS):
        for file in tree.files:
            if METADATA.fullmatch(file.name):
                tree.text(file)  # one that is no text is why it is missing: this says so
        raise CorpusMalformed(
            f"{tree.root}: expected train_metadata.csv, validation_metadata.csv and "
            f"test_metadata.csv, found {', '.join(sorted(tables)) or 'none'}; they stand "
            f"beside data.tar.bz2 in {CARD.url}"
        )
    clips: dict[str, list[File]] = {}
    for file, match in sounds(tree, GRAMMAR):
        clips.setdefault(_stem(match), []).append(file)
    parts, names = Statements("clip"), {}
    for table in (file for files in tables.values() for file in files):
        for number, row in tree.csv_rows(table):
            where = f"{tree.root / table.path}:{number}"
            match, part = _checked(row, where)
            if not table.name.lower().startswith(part):
                raise CorpusMalformed(
                    f"{where}: the row says {part}, its file is {table.name}; download it again"
                )
            parts.add(_stem(match), part, where)
            names[_stem(match)] = match
    reading = Reading([], [])
    for stem, part, _ in parts.items():
        for path in [file.path for file in clips.pop(stem, [])] or [None]:
            reading.utterances.append(_utterance(names[stem], path, part))
    for files in clips.values():
        reading.findings += [
            Finding("unlabelled", CARD.name, file.path, "in no metadata table") for file in files
        ]
    return reading


def unpack(tree: Tree, into: Path) -> bool:
    """Write data.tar.bz2 or the Parquet conversion of `tree` as plain folder into `into`; False
    where clips lie open."""
    if next(sounds(tree, GRAMMAR), None):
        return False
    archives = [
        file for file in tree.files if re.fullmatch(r"data\.tar(\.\w+)?|data\.tgz", file.name)
    ]
    if archives:
        for copies in _tables(tree).values():
            for number, table in enumerate(copies):
                _numbered(into, number).joinpath(table.name).write_text(
                    tree.text(table), encoding="utf-8"
                )
        unpacked = [
            _unpack_tar(tree.root / file.path, _numbered(into, number))
            for number, file in enumerate(archives)
        ]
        return any(unpacked)
    return _unpack_parquets([tree.root / file.path for file in _parquets(tree)], into)


def _numbered(folder: Path, number: int) -> Path:
    """A folder for each of several copies, the first in `folder` itself: which is right is not for
    us to choose."""
    place = folder / f"copy {number}" if number else folder
    place.mkdir(exist_ok=True)
    return place


def _tables(tree: Tree) -> dict[str, list[File]]:
    """Name in lower case -> every table of that name."""
    found: dict[str, list[File]] = {}
    for file in tree.files:
        if METADATA.fullmatch(file.name) and _is_ours(tree, file):
            found.setdefault(file.name.lower(), []).append(file)
    return found


def _is_ours(tree: Tree, file: File) -> bool:
    try:
        first = tree.text(file).partition("\n")[0][:1000]
    except CorpusMalformed:  # no text: of whatever corpus it is, not seen here to be of this one
        return False
    # also where commas are not
    return set(COLUMNS[:3]) <= {name.strip(' "\r') for name in re.split("[,;\t]", first)}


def _parquets(tree: Tree) -> list[File]:
    """Parquet files whose columns are YueMotion's; other corpora may lie beside them in the same
    format."""
    found = [file for file in tree.files if file.suffix == ".parquet"]
    if not found:
        return []
    import pyarrow
    import pyarrow.parquet

    def is_ours(file: File) -> bool:
        if _footer_bytes(tree.root / file.path) > MAX_FOOTER_BYTES:
            return False
        try:
            names = pyarrow.parquet.read_schema(tree.root / file.path).names
        except (pyarrow.ArrowException, OSError):
            return False
        return {"audio", "split", "speaker_id", "sentence_id", "label_id"} <= set(names)

    return [file for file in found if is_ours(file)]


def _footer_bytes(parquet: Path) -> int:
    """What a Parquet file says of its footer, which a reader takes into memory first."""
    with parquet.open("rb") as stream:
        stream.seek(-min(8, stream.seek(0, 2)), 2)
        return int.from_bytes(stream.read(4), "little")


def _stem(match: re.Match) -> str:
    return match[0].lower()


def _checked(row: dict, where: str) -> tuple[re.Match, str]:
    """Name and official part of a metadata row whose columns agree with the file name."""
    if missing := [column for column in COLUMNS if row.get(column) is None]:
        raise CorpusMalformed(
            f"{where}: expected columns {','.join(COLUMNS)}; missing {', '.join(missing)}"
        )
    match = GRAMMAR.fullmatch(PurePosixPath(row["file_name"]).stem)
    if not match or row["split"] not in PARTS or row["label"] not in LABELS:
        raise CorpusMalformed(
            f"{where}: expected a split ({', '.join(PARTS)}), a file name such as "
            f"data/14_m60_01_4.wav and a label ({', '.join(LABELS)}); found {row['split']!r}, "
            f"{row['file_name']!r}, {row['label']!r}"
        )
    stated = (
        row["speaker_id"].zfill(2),
        row["gender"],
        row["age"],
        row["sentence_id"].zfill(2),
        row["label_id"],
    )
    if (
        stated != tuple(part.lower() for part in match.groups())
        or row["label"] != LABELS[int(match[5]) - 1]
    ):
        raise CorpusMalformed(
            f"{where}: file name {row['file_name']!r} and columns {(*stated, row['label'])} "
            "disagree"
        )
    return match, row["split"]


def _utterance(match: re.Match, path: str | None, part: str) -> Utterance:
    label = LABELS[int(match[5]) - 1]
    return Utterance(
        id=f"yuemotion/{_stem(match)}",
        corpus=CARD.name,
        path=path,
        speaker=f"yuemotion/{match[1]}",
        sentence=f"yuemotion/{match[4]}",
        language="yue",
        age_years=int(match[3]),
        age_source="measured",
        gender=match[2].lower(),
        emotions=(CARD.native_labels[label],),
        native_label=label,
        official_split=part,
    )


class _Unpacked:
    """Clips written one by one into a folder; raises CorpusMalformed for too many, too large or
    repeated ones."""

    def __init__(self, archive: Path, n_packed: int, into: Path):
        self.archive, self.folder = archive, into / "data"
        self.n_clips = self.n_bytes = 0
        self.most_bytes = min(MAX_BYTES, FREE_BYTES + MAX_FOLD * n_packed)

    def admit(self, name: str, n_bytes: int) -> Path:
        """Path for a clip of a size, if there is room for it. The name is bare: no folder of an
        archive is followed."""
        self.n_clips, self.n_bytes = self.n_clips + 1, self.n_bytes + n_bytes
        target = self.folder / PurePosixPath(name).name
        if self.n_clips > MAX_CLIPS or self.n_bytes > self.most_bytes or n_bytes > MAX_CLIP_BYTES:
            raise CorpusMalformed(
                f"{self.archive}: expected at most {MAX_CLIPS} clips of {MAX_CLIP_BYTES} "
                f"bytes, {self.most_bytes} in all, found more at {name}: not YueMotion's"
            )
        if target.exists():
            raise CorpusMalformed(
                f"{self.archive}: expected each clip once, found {target.name} twice"
            )
        self.folder.mkdir(exist_ok=True)
        return target


class _Bounded:
    """The unpacked bytes of an archive for tarfile, which believes every size that it reads: no
    further than `most_bytes`, and no more than `allowed` between two files."""

    def __init__(self, archive: Path, stream, most_bytes: int):
        self.archive, self.stream, self.most_bytes = archive, stream, most_bytes
        self.allowed = MAX_HEADER_BYTES

    def read(self, n_bytes: int = -1) -> bytes:
        self.allowed -= n_bytes
        if n_bytes < 0 or self.allowed < 0:
            raise CorpusMalformed(
                f"{self.archive}: expected a tar of wavs, found a header of more than "
                f"{MAX_HEADER_BYTES} bytes"
            )
        return self.stream.read(n_bytes)

    def seek(self, place: int) -> int:
        if place > self.most_bytes:
            raise CorpusMalformed(
                f"{self.archive}: expected at most {self.most_bytes} bytes unpacked, found "
                "more: not YueMotion's"
            )
        return self.stream.seek(place)

    def tell(self) -> int:
        return self.stream.tell()


_OPENERS = {b"BZh": bz2.open, b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open}


def _unpack_tar(archive: Path, into: Path) -> bool:
    with archive.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(POINTER):
        raise CorpusMalformed(
            f"{archive}: expected an archive, found a git-lfs pointer: run `git lfs pull` in its "
            "folder"
        )
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), open)
    unpacked, n_members = _Unpacked(archive, archive.stat().st_size, into), 0
    try:
        with opener(archive, "rb") as stream:
            bounded = _Bounded(
                archive, stream, unpacked.most_bytes + 4 * MAX_CLIPS * tarfile.RECORDSIZE // 10
            )
            reader = tarfile.open(fileobj=bounded, mode="r:")  # noqa: SIM115  (`stream` is what is closed)
            for member in reader:
                n_members += 1
                if n_members > 4 * MAX_CLIPS:
                    raise CorpusMalformed(
                        f"{archive}: expected a tar of wavs, found more than {4 * MAX_CLIPS} "
                        "files in it"
                    )
                if member.isfile() and GRAMMAR.fullmatch(PurePosixPath(member.name).stem):
                    target = unpacked.admit(member.name, member.size)
                    bounded.allowed = member.size + MAX_HEADER_BYTES
                    target.write_bytes(reader.extractfile(member).read())
                bounded.allowed = MAX_HEADER_BYTES
    except (
        tarfile.TarError,
        OSError,
        EOFError,
        ValueError,
        OverflowError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        found = " ".join(str(error).split())
        raise CorpusMalformed(
            f"{archive}: expected a tar of wavs, found: {found}; download it again"
        ) from None
    return unpacked.n_clips > 0


def _unpack_parquets(parquets: list[Path], into: Path) -> bool:
    """Rows of the Parquet conversion as wavs and metadata tables, in a process of bounded memory
    where the system has such (Windows does not: there, a footer that lies about its pages costs
    memory)."""
    if not parquets:
        return False
    if not sandbox.is_available():
        return unpack_parquets([[os.fspath(path) for path in parquets], os.fspath(into)])
    argument = [[os.path.abspath(path) for path in parquets], os.path.abspath(into)]
    [ended] = sandbox.call("bimotion.corpora.yuemotion:unpack_parquets", [argument], LIMITS)
    if ended.problem is None:
        return ended.value
    if any(ended.problem.startswith(path) for path in argument[0]):
        raise CorpusMalformed(ended.problem)
    place = (
        parquets[0]
        if len(parquets) == 1
        else f"{parquets[0]} or one of {len(parquets) - 1} more Parquet files"
    )
    raise CorpusMalformed(
        f"{place}: expected YueMotion in Parquet, but {ended.problem}; download it again"
    )


def unpack_parquets(argument: list) -> bool:
    """Write the rows of some Parquet files as wavs and metadata tables: paths, and the folder to
    write into. Called in a process of its own; raises CorpusMalformed."""
    parquets, into = [Path(path) for path in argument[0]], Path(argument[1])
    import pyarrow

    rows: list[dict] = []
    unpacked = _Unpacked(parquets[0].parent, sum(path.stat().st_size for path in parquets), into)
    for parquet in sorted(parquets):
        unpacked.archive = parquet
        try:
            for row in _rows(parquet, unpacked.most_bytes):
                row = _plain_row(row, parquet)
                content = row.pop("bytes")
                unpacked.admit(row["file_name"], len(content)).write_bytes(content)
                rows.append(row)
        except (pyarrow.ArrowException, OSError, MemoryError) as error:
            raise CorpusMalformed(
                f"{parquet}: expected YueMotion in Parquet, found: {str(error)[:200]}; "
                "download it again"
            ) from None
    for part in PARTS:
        table = io.StringIO()
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["split"] == part)
        (into / f"{part}_metadata.csv").write_text(table.getvalue(), encoding="utf-8")
    return True


def _rows(parquet: Path, most_bytes: int) -> Iterator[dict]:
    """Rows of a Parquet file whose footer is plausible, some at a time; raises CorpusMalformed."""
    import pyarrow.parquet

    opened = pyarrow.parquet.ParquetFile(
        parquet, memory_map=False, pre_buffer=False, buffer_size=1 << 20
    )
    facts = opened.metadata
    groups = [facts.row_group(number) for number in range(min(facts.num_row_groups, MAX_CLIPS))]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    sizes = [chunk.total_uncompressed_size for chunk in chunks]
    if not 0 <= facts.num_rows <= MAX_CLIPS or facts.num_row_groups > MAX_CLIPS:
        raise CorpusMalformed(
            f"{parquet}: expected at most {MAX_CLIPS} rows, found {facts.num_rows}: not YueMotion's"
        )
    if (
        min(sizes, default=0) < 0
        or sum(sizes) > most_bytes
        or max(sizes, default=0) > MAX_GROUP_BYTES
    ):
        raise CorpusMalformed(
            f"{parquet}: expected at most {most_bytes} bytes unpacked, {MAX_GROUP_BYTES} a "
            f"column of a row group, found {sum(sizes)}: not YueMotion's"
        )
    for batch in opened.iter_batches(batch_size=16, use_threads=False):
        yield from batch.to_pylist()


def _plain_row(row: dict, parquet: Path) -> dict:
    """Metadata row and audio bytes of a Parquet row. Its numbers name the clip; what else names it
    must agree."""
    audio = row["audio"] or {}
    if not audio.get("bytes"):
        raise CorpusMalformed(f"{parquet}: expected the column audio to hold bytes, found none")
    try:
        part = PARTS[row["split"]] if isinstance(row["split"], int) else row["split"]
        gender = {"male": "m", "female": "f"}.get(row["gender"], row["gender"])
        numbers = [int(row[name]) for name in ("speaker_id", "age", "sentence_id", "label_id")]
        speaker, age, sentence, label = numbers
        name = f"data/{speaker:02}_{gender}{age}_{sentence:02}_{label}.wav"
        facts = (
            part,
            str(speaker),
            name,
            gender,
            str(age),
            str(sentence),
            str(label),
            LABELS[label - 1],
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CorpusMalformed(
            f"{parquet}: expected columns {', '.join(COLUMNS)}, found {error!r} in a row"
        ) from None
    others = {"file_name": row.get("file_name"), "audio.path": audio.get("path")}
    named = {
        column: PurePosixPath(str(text)).stem.lower() for column, text in others.items() if text
    }
    stated = {column: stem for column, stem in named.items() if GRAMMAR.fullmatch(stem)}
    if isinstance(row.get("label"), str):
        stated["label"] = row["label"]
    if differing := [
        column
        for column, text in stated.items()
        if text not in (PurePosixPath(name).stem, LABELS[label - 1])
    ]:
        column = differing[0]
        raise CorpusMalformed(
            f"{parquet}: the numbers of a row say {name} ({LABELS[label - 1]}), its {column} "
            f"{stated[column]!r}"
        )
    return dict(zip(COLUMNS, facts, strict=True)) | {"bytes": audio["bytes"]}


CORPUS = Corpus(CARD, recognise, read, unpack)
