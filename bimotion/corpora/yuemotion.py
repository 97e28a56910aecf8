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

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bimotion.corpora.archives import MAX_CLIPS, ClipFolder, unpack_tar
from bimotion.corpora.card import Card, Corpus, Reading, Statements, read_listed, sounds
from bimotion.corpora.sources import HubDataset
from bimotion.corpora.tree import File, Tree
from bimotion.corpora.utterance import PARTS, Utterance
from bimotion.errors import CorpusMalformed
from bimotion.io import sandbox

CARD = Card(
    name="yuemotion",
    title="YueMotion",
    cells=("yue_adu", "yue_eld"),
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
    age_source="stated",
    age_note="stated for each speaker in the metadata and in each file name",
    sources=(
        HubDataset(
            "CAiRE/YueMotion",
            ("data.tar.bz2", *(f"{part}_metadata.csv" for part in PARTS)),
        ),
    ),
    faults="every speaker stands in every official part; the paper's code draws the line "
    "of age at 59, here alone",
)
GRAMMAR = re.compile(r"(\d{2})_([mf])(\d{2})_(\d{2})_([1-6])", re.IGNORECASE)
LABELS = tuple(CARD.native_labels)
METADATA = re.compile(r"(train|validation|test)_metadata\.csv", re.IGNORECASE)
COLUMNS = ("split", "speaker_id", "file_name", "gender", "age", "sentence_id", "label_id", "label")
NUMBERS = ("speaker_id", "age", "sentence_id", "label_id")
MAX_GROUP_BYTES = 512 * 1024 * 1024
LIMITS = sandbox.Limits(memory_bytes=768 * 1024 * 1024, cpu_s=120)  # to read all Parquet files
MAX_FOOTER_BYTES = 1024 * 1024  # of a Parquet file; the Hub's have some kilobytes


def recognise(tree: Tree) -> int:
    """Count clips by name and metadata tables; where there are none, Parquet files with their
    columns.

    The archive is not enough: without the tables beside it there is no split.
    """
    plain = sum(1 for _ in sounds(tree, GRAMMAR)) + sum(map(len, _tables(tree).values()))
    return plain or len(_parquets(tree))


def read(tree: Tree) -> Reading:
    """Utterances of a YueMotion folder; raises CorpusMalformed for metadata tables that are missing
    or malformed."""
    parts = Statements("clip")
    for table in _all_tables(tree):
        # unpacked from a part of the Parquet files; clips that no table lists are findings
        for where, row in tree.csv_rows(table, may_be_empty=True):
            stem = _checked_stem(row, where)
            if not table.name.lower().startswith(row["split"]):
                raise CorpusMalformed(
                    f"{where}: the row says {row['split']}, its file is {table.name}; download it "
                    "again"
                )
            parts.add(stem, row["split"], where)
    clips: dict[str, list[File]] = {}
    for file, match in sounds(tree, GRAMMAR):
        clips.setdefault(match[0].lower(), []).append(file)
    return read_listed(CARD, parts, clips, _clip, "metadata table")


def _clip(stem: str, path: str | None, part: str) -> Utterance:
    speaker, gender, age, sentence, label_id = GRAMMAR.fullmatch(stem).groups()
    label = LABELS[int(label_id) - 1]
    return CARD.utterance(
        stem,
        path,
        [label],
        speaker=speaker,
        sentence=sentence,
        language="yue",
        age_years=int(age),
        gender=gender,
        official_split=part,
    )


def _all_tables(tree: Tree) -> list[File]:
    """Every metadata table; raises CorpusMalformed where a part has none."""
    tables = _tables(tree)
    if len(tables) == len(PARTS):
        return [file for copies in tables.values() for file in copies]
    for copies in tree.named(METADATA).values():
        for file in copies:
            tree.text(file)  # one that is no text is why it is missing: this says so
    raise CorpusMalformed(
        f"{tree.root}: expected train_metadata.csv, validation_metadata.csv and "
        f"test_metadata.csv, found {', '.join(sorted(tables)) or 'none'}; they stand "
        f"beside data.tar.bz2 in {CARD.url}"
    )


def _tables(tree: Tree) -> dict[str, list[File]]:
    """Name in lower case -> every table of that name with the first of our columns."""
    ours: dict[str, list[File]] = {}
    for name, copies in tree.named(METADATA).items():
        for file in copies:
            header = tree.text_if_any(file).partition("\n")[0][:1000]
            # also where commas are not
            if set(COLUMNS[:3]) <= {column.strip(' "\r') for column in re.split("[,;\t]", header)}:
                ours.setdefault(name, []).append(file)
    return ours


def _checked_stem(row: dict, where: str) -> str:
    """The clip that a metadata row names, in lower case, where its columns agree with that name."""
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
    speaker, sentence = row["speaker_id"].zfill(2), row["sentence_id"].zfill(2)
    stated = (speaker, row["gender"], row["age"], sentence, row["label_id"], row["label"])
    named = (*(part.lower() for part in match.groups()), LABELS[int(match[5]) - 1])
    if stated != named:
        raise CorpusMalformed(
            f"{where}: file name {row['file_name']!r} and columns {stated} disagree"
        )
    return match[0].lower()


def unpack(tree: Tree, into: Path) -> bool:
    """Write data.tar.bz2 or the Parquet conversion of `tree` as plain folder into `into`; False
    where clips lie open."""
    if next(sounds(tree, GRAMMAR), None):
        return False
    if not (archives := _archives(tree)):
        return _unpack_sandboxed([tree.root / file.path for file in _parquets(tree)], into)
    for copies in _tables(tree).values():
        for number, table in enumerate(copies):
            copy = _numbered(into, number) / table.name
            copy.write_text(tree.text(table), encoding="utf-8")
    unpacked = [
        unpack_tar(tree.root / file.path, _numbered(into, number), GRAMMAR)
        for number, file in enumerate(archives)
    ]
    return any(unpacked)


def _archives(tree: Tree) -> list[File]:
    named = tree.named(re.compile(r"data\.tar(\.\w+)?|data\.tgz"))
    return sorted(file for copies in named.values() for file in copies)


def packed(tree: Tree) -> list[File]:
    """The archives of the corpus, or its Parquet files where there are none."""
    return _archives(tree) or _parquets(tree)


def _numbered(folder: Path, number: int) -> Path:
    """A folder for each of several copies, the first in `folder` itself: which is right is not for
    us to choose."""
    numbered = folder / f"copy {number}" if number else folder
    numbered.mkdir(exist_ok=True)
    return numbered


def _parquets(tree: Tree) -> list[File]:
    """Parquet files whose columns are YueMotion's; other corpora may lie beside them in the same
    format."""
    files = [file for file in tree.files if file.suffix == ".parquet"]
    return [file for file in files if _has_our_columns(tree.root / file.path)]


def _has_our_columns(parquet: Path) -> bool:
    import pyarrow.parquet

    with parquet.open("rb") as stream:  # a reader takes the footer into memory first
        stream.seek(-min(8, stream.seek(0, 2)), 2)
        if int.from_bytes(stream.read(4), "little") > MAX_FOOTER_BYTES:
            return False
    try:
        names = pyarrow.parquet.read_schema(parquet).names
    except (pyarrow.ArrowException, OSError):
        return False
    return {"audio", "split", "speaker_id", "sentence_id", "label_id"} <= set(names)


def _unpack_sandboxed(parquets: list[Path], into: Path) -> bool:
    """Call `unpack_parquets` in a process of bounded memory where the system has such (Windows does
    not: there, a footer that lies about its pages costs memory)."""
    if not parquets:
        return False
    argument = [[os.path.abspath(path) for path in parquets], os.path.abspath(into)]
    if not sandbox.is_available():
        return unpack_parquets(argument)
    [ended] = sandbox.call("bimotion.corpora.yuemotion:unpack_parquets", [argument], LIMITS)
    if ended.problem is None:
        return ended.value
    if any(ended.problem.startswith(path) for path in argument[0]):
        raise CorpusMalformed(ended.problem)
    archive = parquets[0] if len(parquets) == 1 else f"a Parquet file in {parquets[0].parent}"
    raise CorpusMalformed(
        f"{archive}: expected YueMotion in Parquet, but {ended.problem}; download it again"
    )


def unpack_parquets(argument: list) -> bool:
    """Write the rows of some Parquet files as wavs and metadata tables: paths, and the folder to
    write into. Called in a process of its own; raises CorpusMalformed."""
    import pyarrow

    parquets, into = [Path(path) for path in argument[0]], Path(argument[1])
    n_packed = sum(path.stat().st_size for path in parquets)
    clips, rows = ClipFolder(parquets[0].parent, n_packed, into), []
    for parquet in sorted(parquets):
        clips.archive = parquet
        try:
            for row in _rows(parquet, clips.max_bytes):
                facts, content = _plain_row(row, parquet)
                clips.admit(facts["file_name"], len(content)).write_bytes(content)
                rows.append(facts)
        except (pyarrow.ArrowException, OSError, MemoryError) as error:
            raise CorpusMalformed(
                f"{parquet}: expected YueMotion in Parquet, found: {str(error)[:200]}; "
                "download it again"
            ) from None
    for part in PARTS:
        with (into / f"{part}_metadata.csv").open("w", encoding="utf-8", newline="") as table:
            writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(row for row in rows if row["split"] == part)
    return True


def _rows(parquet: Path, max_bytes: int) -> Iterator[dict]:
    """Rows of a Parquet file whose footer is plausible, some at a time; raises CorpusMalformed."""
    import pyarrow.parquet

    opened = pyarrow.parquet.ParquetFile(
        parquet, memory_map=False, pre_buffer=False, buffer_size=1 << 20
    )
    facts = opened.metadata
    if not 0 <= facts.num_rows <= MAX_CLIPS or facts.num_row_groups > MAX_CLIPS:
        raise CorpusMalformed(
            f"{parquet}: expected at most {MAX_CLIPS} rows, found {facts.num_rows}: not YueMotion's"
        )
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    sizes = [
        group.column(number).total_uncompressed_size
        for group in groups
        for number in range(group.num_columns)
    ]
    if sizes and (min(sizes) < 0 or sum(sizes) > max_bytes or max(sizes) > MAX_GROUP_BYTES):
        raise CorpusMalformed(
            f"{parquet}: expected at most {max_bytes} bytes unpacked, {MAX_GROUP_BYTES} a "
            f"column of a row group, found {sum(sizes)}: not YueMotion's"
        )
    for batch in opened.iter_batches(batch_size=16, use_threads=False):
        yield from batch.to_pylist()


def _plain_row(row: dict, parquet: Path) -> tuple[dict[str, str], bytes]:
    """Metadata row and audio bytes of a Parquet row. Its numbers name the clip; what else names it
    must agree."""
    audio = row["audio"] or {}
    if not audio.get("bytes"):
        raise CorpusMalformed(f"{parquet}: expected the column audio to hold bytes, found none")
    try:
        facts = _numbered_facts(row)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CorpusMalformed(
            f"{parquet}: expected columns {', '.join(COLUMNS)}, found {error!r} in a row"
        ) from None
    label, stem = facts["label"], PurePosixPath(facts["file_name"]).stem
    names = {"file_name": row.get("file_name"), "audio.path": audio.get("path")}
    stems = {column: PurePosixPath(str(name)).stem.lower() for column, name in names.items()}
    stated = {column: name for column, name in stems.items() if GRAMMAR.fullmatch(name)}
    if isinstance(row.get("label"), str):
        stated["label"] = row["label"]
    for column, value in stated.items():
        if value not in (label, stem):
            raise CorpusMalformed(
                f"{parquet}: the numbers of a row say {facts['file_name']} ({label}), its {column} "
                f"{value!r}"
            )
    return facts, audio["bytes"]


def _numbered_facts(row: dict) -> dict[str, str]:
    """The metadata row that the numbers of a Parquet row stand for."""
    part = PARTS[row["split"]] if isinstance(row["split"], int) else row["split"]
    gender = {"male": "m", "female": "f"}.get(row["gender"], row["gender"])
    speaker, age, sentence, label = (int(row[name]) for name in NUMBERS)
    return {
        "split": part,
        "speaker_id": str(speaker),
        "file_name": f"data/{speaker:02}_{gender}{age}_{sentence:02}_{label}.wav",
        "gender": gender,
        "age": str(age),
        "sentence_id": str(sentence),
        "label_id": str(label),
        "label": LABELS[label - 1],
    }


def _facts(stem: str) -> dict[str, str | int] | None:
    match = GRAMMAR.fullmatch(stem)
    return match and {"sentence": match[4], "age_years": int(match[3]), "gender": match[2]}


CORPUS = Corpus(CARD, recognise, read, unpack, packed, facts_of_name=_facts, version=2)
