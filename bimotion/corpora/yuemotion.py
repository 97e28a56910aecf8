"""YueMotion: 18 Cantonese speakers aged 21-66 say 10 sentences in six emotions (the BiMotion paper's own corpus).

    {train,validation,test}_metadata.csv     split,speaker_id,file_name,gender,age,sentence_id,label_id,label
    data/14_m60_01_4.wav                     <speaker>_<gender><age>_<sentence>_<label>; labels 1-6
    data.tar.bz2                             instead of data/: unpacked into the cache, never beside the original
    **/*.parquet                             instead of both: the Hub's Parquet conversion (columns audio, split, ...)

The split is official, 50/15/35 % of each speaker's clips. Its adults and elders meet at 60 as everywhere here; the
paper's code draws the line at 59, and only for this corpus.
"""

import csv
import io
import lzma
import re
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from bimotion.audio import POINTER
from bimotion.corpus import Card, Corpus, Reading, sounds
from bimotion.errors import CorpusMalformed
from bimotion.tree import File, Tree
from bimotion.utterance import PARTS, Finding, Utterance

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
    citation="Cahyawijaya et al. 2023, Cross-Lingual Cross-Age Group Adaptation for Low-Resource Elderly Speech Emotion "
    "Recognition, arXiv 2306.14517",
    age_note="recorded per speaker in the metadata and in each file name",
)
GRAMMAR = re.compile(r"(\d{2})_([mf])(\d{2})_(\d{2})_([1-6])", re.IGNORECASE)
LABELS = ("anger", "happy", "sad", "neutral", "fear", "disgust")
METADATA = re.compile(r"(train|validation|test)_metadata\.csv", re.IGNORECASE)
COLUMNS = ("split", "speaker_id", "file_name", "gender", "age", "sentence_id", "label_id", "label")
MAX_CLIPS = 10_000
MAX_BYTES = 4 * 1024**3


def recognise(tree: Tree) -> int:
    """Clips by name, plus metadata tables; Parquet files with its columns where the tree holds nothing else.

    The archive alone is not enough: without the tables beside it there is no split.
    """
    plain = sum(1 for _ in sounds(tree, GRAMMAR)) + len(_tables(tree))
    return plain or len(_parquets(tree))


def read(tree: Tree) -> Reading:
    """Utterances of a YueMotion folder; raises CorpusMalformed for metadata tables that are missing or malformed."""
    tables = _tables(tree)
    if len(tables) != len(PARTS):
        raise CorpusMalformed(
            f"{tree.root}: expected train_metadata.csv, validation_metadata.csv and test_metadata.csv, "
            f"found {', '.join(sorted(tables)) or 'none'}; they stand beside data.tar.bz2 in {CARD.url}"
        )
    clips: dict[str, list[File]] = {}
    for file, match in sounds(tree, GRAMMAR):
        clips.setdefault(_stem(match), []).append(file)
    reading = Reading([], [])
    for table in tables.values():
        for number, row in enumerate(tree.csv_rows(table), start=2):
            match, part = _checked(row, f"{tree.root / table.path}:{number}")
            for path in [file.path for file in clips.pop(_stem(match), [])] or [None]:
                reading.utterances.append(_utterance(match, path, part))
    for files in clips.values():
        reading.findings += [Finding("unlabelled", CARD.name, file.path, "in no metadata table") for file in files]
    return reading


def unpack(tree: Tree, into: Path) -> bool:
    """Write data.tar.bz2 or the Parquet conversion of `tree` as plain folder into `into`; False where clips lie open."""
    if next(sounds(tree, GRAMMAR), None):
        return False
    archives = [file for file in tree.files if re.fullmatch(r"data\.tar(\.\w+)?|data\.tgz", file.name)]
    if archives:
        for table in _tables(tree).values():
            (into / table.name).write_text(tree.text(table), encoding="utf-8")
        return _unpack_tar(tree.root / archives[0].path, into)
    return _unpack_parquet([tree.root / file.path for file in _parquets(tree)], into)


def _tables(tree: Tree) -> dict[str, File]:
    named = [file for file in tree.files if METADATA.fullmatch(file.name)]
    return {file.name.lower(): file for file in named if tree.text(file).startswith(",".join(COLUMNS[:3]))}


def _parquets(tree: Tree) -> list[File]:
    """Parquet files whose columns are YueMotion's; other corpora may lie beside them in the same format."""
    found = [file for file in tree.files if file.suffix == ".parquet"]
    if not found:
        return []
    import pyarrow
    import pyarrow.parquet

    def is_ours(file: File) -> bool:
        try:
            names = pyarrow.parquet.read_schema(tree.root / file.path).names
        except pyarrow.ArrowInvalid:
            return False
        return {"audio", "split", "speaker_id", "sentence_id", "label_id"} <= set(names)

    return [file for file in found if is_ours(file)]


def _stem(match: re.Match) -> str:
    return match[0].lower()


def _checked(row: dict, where: str) -> tuple[re.Match, str]:
    """Name and official part of a metadata row whose columns agree with the file name."""
    if missing := [column for column in COLUMNS if row.get(column) is None]:
        raise CorpusMalformed(f"{where}: expected columns {','.join(COLUMNS)}; missing {', '.join(missing)}")
    match = GRAMMAR.fullmatch(PurePosixPath(row["file_name"]).stem)
    if not match or row["split"] not in PARTS or row["label"] not in LABELS:
        raise CorpusMalformed(
            f"{where}: expected a split ({', '.join(PARTS)}), a file name such as data/14_m60_01_4.wav and a label "
            f"({', '.join(LABELS)}); found {row['split']!r}, {row['file_name']!r}, {row['label']!r}"
        )
    stated = (row["speaker_id"].zfill(2), row["gender"], row["age"], row["sentence_id"].zfill(2), row["label_id"])
    if stated != tuple(part.lower() for part in match.groups()) or row["label"] != LABELS[int(match[5]) - 1]:
        raise CorpusMalformed(f"{where}: file name {row['file_name']!r} and columns {(*stated, row['label'])} disagree")
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
    """Clips written one by one into a folder; raises CorpusMalformed for too many, too large or repeated ones."""

    def __init__(self, archive: Path, into: Path):
        self.archive, self.folder = archive, into / "data"
        self.n_clips = self.n_bytes = 0

    def admit(self, name: str, n_bytes: int) -> Path:
        """Path for a clip of a size, if there is room for it. The name is bare: no folder of an archive is followed."""
        self.n_clips, self.n_bytes = self.n_clips + 1, self.n_bytes + n_bytes
        target = self.folder / PurePosixPath(name).name
        if self.n_clips > MAX_CLIPS or self.n_bytes > MAX_BYTES:
            raise CorpusMalformed(
                f"{self.archive}: expected at most {MAX_CLIPS} clips and {MAX_BYTES} bytes, found more at {name}: "
                "not YueMotion's"
            )
        if target.exists():
            raise CorpusMalformed(f"{self.archive}: expected each clip once, found {target.name} twice")
        self.folder.mkdir(exist_ok=True)
        return target


def _unpack_tar(archive: Path, into: Path) -> bool:
    with archive.open("rb") as stream:
        if stream.read(64).startswith(POINTER):
            raise CorpusMalformed(f"{archive}: expected an archive, found a git-lfs pointer: run `git lfs pull` in its folder")
    unpacked = _Unpacked(archive, into)
    try:
        with tarfile.open(archive) as stream:
            for member in stream:
                if member.isfile() and GRAMMAR.fullmatch(PurePosixPath(member.name).stem):
                    unpacked.admit(member.name, member.size).write_bytes(stream.extractfile(member).read())
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        found = " ".join(str(error).split())
        raise CorpusMalformed(f"{archive}: expected a tar of wavs, found: {found}; download it again") from None
    return unpacked.n_clips > 0


def _unpack_parquet(parquets: list[Path], into: Path) -> bool:
    """Rows of the Parquet conversion as wavs and metadata tables."""
    if not parquets:
        return False
    import pyarrow.parquet

    rows: list[dict] = []
    unpacked = _Unpacked(parquets[0].parent, into)
    for parquet in sorted(parquets):
        for batch in pyarrow.parquet.ParquetFile(parquet).iter_batches(batch_size=64):
            for row in batch.to_pylist():
                row = _plain_row(row, parquet)
                content = row.pop("bytes")
                unpacked.admit(row["file_name"], len(content)).write_bytes(content)
                rows.append(row)
    for part in PARTS:
        table = io.StringIO()
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["split"] == part)
        (into / f"{part}_metadata.csv").write_text(table.getvalue(), encoding="utf-8")
    return True


def _plain_row(row: dict, parquet: Path) -> dict:
    """Metadata row and audio bytes of a Parquet row. Its numbers name the clip, whatever its audio path says."""
    audio = row["audio"] or {}
    if not audio.get("bytes"):
        raise CorpusMalformed(f"{parquet}: expected the column audio to hold bytes, found none")
    try:
        part = PARTS[row["split"]] if isinstance(row["split"], int) else row["split"]
        gender = {"male": "m", "female": "f"}.get(row["gender"], row["gender"])
        numbers = [int(row[name]) for name in ("speaker_id", "age", "sentence_id", "label_id")]
        speaker, age, sentence, label = numbers
        name = f"data/{speaker:02}_{gender}{age}_{sentence:02}_{label}.wav"
        facts = (part, str(speaker), name, gender, str(age), str(sentence), str(label), LABELS[label - 1])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CorpusMalformed(f"{parquet}: expected columns {', '.join(COLUMNS)}, found {error!r} in a row") from None
    return dict(zip(COLUMNS, facts, strict=True)) | {"bytes": audio["bytes"]}


CORPUS = Corpus(CARD, recognise, read, unpack)
