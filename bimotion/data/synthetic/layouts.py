"""Synthetic corpora: which clips, whose voices, which labels, and the raw layout of each corpus on
disk.

Clip names are the true ones (from the rosters; YueMotion's by its grammar), so splits, readers and
completeness work as on the real corpora. Speakers' ages and genders, and labels that the name does
not tell, are invented from a hash.
"""

import csv
import hashlib
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bimotion.corpora import (
    CORPORA,
    PAPER_CORPORA,
    corpus_named,
    crema_d,
    elderreact,
    esd,
    iemocap,
    shemo,
    urdu,
    yuemotion,
)
from bimotion.corpora.utterance import PARTS
from bimotion.data import rosters
from bimotion.data.index import SYNTHETIC_MARK
from bimotion.data.locate import usable
from bimotion.data.splits import PAPER_YUEMOTION_ELDERLY_FROM_YEARS, ROSTERED, cut
from bimotion.data.synthetic.voice import SALT, Voice, utter
from bimotion.errors import SettingError, some
from bimotion.io import audio, files
from bimotion.io.bounds import MAX_SEED, real_number, whole_number
from bimotion.io.progress import Progress, default_progress
from bimotion.io.versions import NUMBERS_VERSION

FEWEST_CLIPS = 60
"""A (corpus, cell, part) is never smaller, where the true one is not: below, no score means
anything."""
SAMPLE_RATES_HZ = {"csed": 44100, "shemo": 44100, "tess": 24414, "urdu": 44100}
DEFAULT_RATE_HZ = 16000
YUEMOTION_SPEAKERS = (
    *((n, "f", 20 + 4 * n) for n in range(1, 8)),
    *((n, "m", 15 + 3 * n) for n in range(8, 12)),
    *((n, "f", 48 + n) for n in range(12, 17)),
    *((n, "m", 45 + n) for n in range(17, 19)),
)
"""Number, gender, age of 7 + 4 adults and 5 + 2 elders, as many as the true corpus has."""


@dataclass(frozen=True)
class Clip:
    """One clip to make: its path and labels as its corpus writes them, and how it is to sound."""

    corpus: str
    stem: str
    part: str
    voice: Voice
    label: tuple[str, ...]
    """Native label codes."""
    voiced: tuple[str, ...]
    """Emotions that are heard: the same, unless an experiment wants otherwise."""

    @property
    def id(self) -> str:
        return f"{self.corpus}/{self.stem}"


def plan(scale: float = 0.02, seed: int = 0, corpora: Iterable[str] | None = None) -> list[Clip]:
    """Plan clips of corpora at a share of their true sizes (but no part smaller than FEWEST_CLIPS).

    Args:
        scale: Share of each corpus, cell and part, above 0, at most 1.
        seed: Chooses the clips.
        corpora: Names; None: those of BiMotion and YueMotion.

    Returns:
        Clips, sorted by id.
    """
    real_number("scale", scale, 0, 1, above=True)
    whole_number("seed", seed, 0, MAX_SEED)
    names = PAPER_CORPORA if corpora is None else [corpus_named(name).name for name in corpora]
    clips = []
    for name in names:
        clips += (
            _plan_rostered(name, scale, seed) if name in ROSTERED else _plan_yuemotion(scale, seed)
        )
    return sorted(clips, key=lambda clip: clip.id)


def _share(names: Sequence[str], scale: float, seed: int) -> list[str]:
    size = min(len(names), max(round(scale * len(names)), FEWEST_CLIPS))
    return sorted(names, key=lambda name: _draw(name, f"chosen {seed}"))[:size]


def _draw(name: str, purpose: str) -> int:
    """A large number that is always the same for a name and a purpose."""
    return int.from_bytes(hashlib.sha256(f"{SALT}|{purpose}|{name}".encode()).digest()[:8], "big")


def _plan_rostered(corpus: str, scale: float, seed: int) -> list[Clip]:
    clips = []
    for (cell, part), rows in rosters.load(corpus).groupby(["cell", "paper"]):
        for row in rows.loc[_share(list(rows.index), scale, seed)].itertuples():
            speaker = row.speaker or f"{corpus}/{_draw(row.Index, 'speaker') % 40}"
            label = LABELS[corpus](row.stem)
            voiced = tuple(CORPORA[corpus].card.native_labels[code] for code in label)
            # the roster has OA_bite where the paper put it
            true_cell = "eng_eld" if speaker == "tess/OAF" else cell
            voice = _voice(speaker, true_cell, row.gender)
            clips.append(Clip(corpus, row.stem, part, voice, label, voiced))
    return clips


def _voice(speaker: str, cell: str, gender: str) -> Voice:
    language, age_group = cell.split("_")
    age = 62 + _draw(speaker, "age") % 15 if age_group == "eld" else 22 + _draw(speaker, "age") % 30
    return Voice(speaker, language, age, gender or "fm"[_draw(speaker, "gender") % 2])


def _any_of(corpus: str) -> Callable[[str], tuple[str, ...]]:
    codes = sorted(CORPORA[corpus].card.native_labels)
    return lambda stem: (codes[_draw(stem, "label") % len(codes)],)


def _elderreact_labels(stem: str) -> tuple[str, ...]:
    """One label mostly, two for one clip in five, none for one in twenty."""
    first, second = (
        elderreact.COLUMNS[_draw(stem, f"label {n}") % len(elderreact.COLUMNS)] for n in (1, 2)
    )
    fate = _draw(stem, "number of labels") % 20
    return () if fate == 0 else (first, second) if fate < 5 and second != first else (first,)


LABELS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "crema_d": lambda stem: (stem.split("_")[2],),
    "csed": lambda stem: (stem.split("_")[0],),
    "elderreact": _elderreact_labels,
    "emo_db": lambda stem: (stem[5],),
    "esd": lambda stem: (esd.BLOCKS[(int(stem.split("_")[1]) - 1) // esd.SENTENCES],),
    "iemocap": _any_of("iemocap"),
    "shemo": lambda stem: (stem[3],),
    "tess": lambda stem: (stem.split("_")[2],),
    "urdu": lambda stem: (stem.split("_")[2][0],),
}
"""Native labels of a clip, from its name where the name tells."""


def _plan_yuemotion(scale: float, seed: int) -> list[Clip]:
    stems_of: dict[tuple[bool, str], list[str]] = defaultdict(list)
    voices = {}
    for n, gender, age in YUEMOTION_SPEAKERS:
        voices[f"{n:02}"] = Voice(f"yuemotion/{n:02}", "yue", age, gender)
        stems = [
            f"{n:02}_{gender}{age}_{sentence:02}_{label}"
            for sentence, label in itertools.product(range(1, 11), range(1, 7))
        ]
        parts = cut(stems, [""] * len(stems), (30, 9, 21), seed)
        for stem, part in zip(stems, parts, strict=True):
            stems_of[age >= PAPER_YUEMOTION_ELDERLY_FROM_YEARS, part].append(stem)
    clips = []
    for (_, part), stems in stems_of.items():
        for stem in _share(stems, scale, seed):
            label = yuemotion.LABELS[int(stem[-1]) - 1]
            voiced = (yuemotion.CARD.native_labels[label],)
            clips.append(Clip("yuemotion", stem, part, voices[stem[:2]], (label,), voiced))
    return clips


def path_of(clip: Clip) -> str:
    """Path of a clip below the root, in its corpus's true layout."""
    stem, label = clip.stem, "+".join(clip.label)
    match clip.corpus:
        case "crema_d":
            return f"CREMA-D/AudioWAV/{stem}.wav"
        case "csed":
            code, gender, number = stem.split("_")
            folder = {"Nat": "Natural", "Neg": "Negative", "Pos": "Positive"}[code]
            return f"CSED/Training Data (wav)/{folder}/{code}_{gender.capitalize()}-{number}.wav"
        case "elderreact":
            return f"ElderReact/ElderReact_{_ELDERREACT_PARTS[clip.part]}/{stem}.wav"
        case "emo_db":
            return f"EMO-DB/wav/{stem}.wav"
        case "esd":
            folder = "evaluation" if clip.part == "validation" else clip.part
            return f"Emotion Speech Dataset/{stem[:4]}/{label}/{folder}/{stem}.wav"
        case "iemocap":
            session, dialog = stem[4], stem.rpartition("_")[0]
            return f"IEMOCAP_full_release/Session{session}/sentences/wav/{dialog}/{stem}.wav"
        case "shemo":
            return f"ShEMO/{_SHEMO_FOLDERS[stem[0]]}/{stem}.wav"
        case "tess":
            speaker, _, code = stem.split("_")
            folder = f"{speaker}_{_TESS_FOLDERS[speaker].get(code, code)}"
            name = "OA_bite_neutral" if stem == "OAF_bite_neutral" else stem
            return f"TESS/TESS Toronto emotional speech set data/{folder}/{name}.wav"
        case "urdu":
            return f"URDU/{_URDU_FOLDERS[label]}/{stem}.wav"
        case _:
            return f"YueMotion/data/{stem}.wav"


_ELDERREACT_PARTS = {"train": "train", "validation": "dev", "test": "test"}
_SHEMO_FOLDERS = {code: folder for folder, code in shemo.FOLDERS.items()}
_URDU_FOLDERS = {code: folder.capitalize() for folder, code in urdu.FOLDERS.items()}
_TESS_FOLDERS = {
    "OAF": {"fear": "Fear", "ps": "Pleasant_surprise", "sad": "Sad"},
    "YAF": {"ps": "pleasant_surprised"},
}


def _crema_d_files(clips: Sequence[Clip]) -> dict[str, str]:
    voices = {int(clip.stem[:4]): clip.voice for clip in clips}
    sexes = {"m": "Male", "f": "Female"}
    actors = [
        (actor, voice.age_years, sexes[voice.gender], "Synthetic", "Synthetic")
        for actor, voice in sorted(voices.items())
    ]
    table = pd.DataFrame(actors, columns=["ActorID", "Age", "Sex", "Race", "Ethnicity"])
    rows = []
    for number, clip in enumerate(clips, start=1):
        votes = Counter(_votes(clip, crema_d.CARD.native_labels, n=10))
        counts = [votes[code] for code in crema_d.CARD.native_labels]
        rows.append([f"{100_000 + number}", *counts, clip.stem, sum(counts)])
    votes = pd.DataFrame(rows, columns=["", *crema_d.RATED, "fileName", "numResponses"])
    return {
        f"CREMA-D/{crema_d.DEMOGRAPHICS}": _csv(table, quoting=csv.QUOTE_NONNUMERIC),
        f"CREMA-D/processedResults/{crema_d.VOTES}": _csv(votes, quoting=csv.QUOTE_NONNUMERIC),
    }


def _votes(clip: Clip, choices: Iterable[str], n: int) -> list[str]:
    """The choices of `n` raters: the label in about six of ten, else any."""
    choices = [*sorted(choices), *clip.label * 6] if clip.label[0] in choices else sorted(choices)
    return [choices[_draw(clip.stem, f"vote {rater}") % len(choices)] for rater in range(n)]


def _elderreact_files(clips: Sequence[Clip]) -> dict[str, str]:
    lines = defaultdict(list)
    for clip in clips:
        bits = " ".join("01"[column in clip.label] for column in elderreact.COLUMNS)
        lines[clip.part].append(f"{clip.stem}.mp4 {bits} {clip.voice.gender} 4.0\n")
    folder = "ElderReact/ElderReact-master/Annotations"
    return {
        f"{folder}/{name}_labels.txt": "".join(lines[part]) or "\n"
        for part, name in _ELDERREACT_PARTS.items()
    }


def _iemocap_files(clips: Sequence[Clip]) -> dict[str, str]:
    header = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
    texts: dict[str, str] = defaultdict(lambda: header)
    codes = {emotion: code for code, emotion in iemocap.CARD.native_labels.items()}
    written = {codes[emotion]: name.capitalize() for name, emotion in iemocap.CHOICES.items()}
    for number, clip in enumerate(clips):
        dialog = clip.stem.rpartition("_")[0]
        name = f"IEMOCAP_full_release/Session{clip.stem[4]}/dialog/EmoEvaluation/{dialog}.txt"
        times = f"[{number}.0000 - {number + 1}.0000]"
        texts[name] += f"{times}\t{clip.stem}\t{clip.label[0]}\t[2.5000, 2.5000, 2.5000]\n"
        for rater, code in enumerate(_votes(clip, written, n=3), start=1):
            texts[name] += f"C-E{rater}:\t{written[code]};\t()\n"
    return texts


def _yuemotion_files(clips: Sequence[Clip]) -> dict[str, str]:
    rows = []
    for clip in clips:
        number, _, sentence, label = clip.stem.split("_")
        path, voice = f"data/{clip.stem}.wav", clip.voice
        row = (int(number), path, voice.gender, voice.age_years, int(sentence), label)
        rows.append((clip.part, *row, clip.label[0]))
    table = pd.DataFrame(rows, columns=yuemotion.COLUMNS)
    return {
        f"YueMotion/{part}_metadata.csv": _csv(table[table.iloc[:, 0] == part]) for part in PARTS
    }


def _csv(table: pd.DataFrame, **how: object) -> str:
    return table.to_csv(index=False, lineterminator="\n", **how)


TEXT_FILES: dict[str, Callable[[Sequence[Clip]], dict[str, str]]] = {
    "crema_d": _crema_d_files,
    "elderreact": _elderreact_files,
    "iemocap": _iemocap_files,
    "yuemotion": _yuemotion_files,
}
"""Label and speaker files of the corpora that have such: path -> content."""


def write(
    root: Path,
    scale: float = 0.02,
    seed: int = 0,
    corpora: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> int:
    """Make synthetic corpora in a folder that does not exist yet, is empty or was made by this.

    Nothing half-written stays behind. A folder that holds just these corpora already is left as it
    is.

    Returns:
        The number of clips.

    Raises:
        SettingError: The folder holds something else.
    """
    root = usable(Path(root))
    if root.is_file():
        raise SettingError(f"expected a folder to write to, {root} is a file")
    if root.exists() and (foreign := [path.name for path in root.iterdir() if not _is_ours(path)]):
        raise SettingError(
            "expected an empty or new folder, or one made by `bimotion data synth`; "
            f"{root} holds other files: {some(sorted(foreign))}"
        )
    clips = plan(scale, seed, corpora)
    facts = {"synthetic": True, "made_by": "bimotion data synth", "version": NUMBERS_VERSION}
    facts |= {"scale": scale, "seed": seed, "note": "not speech of people"}
    if _is_whole(root, clips, facts):
        return len(clips)
    with files.folder_written(root) as temporary:
        lay(temporary, clips, seed, progress)
        facts |= {"n_files": _n_files(temporary)}
        for folder in (temporary, *(path for path in temporary.iterdir() if path.is_dir())):
            mark = json.dumps(facts, indent=1) + "\n"
            (folder / SYNTHETIC_MARK).write_text(mark, encoding="utf-8")
        if root.exists():
            files.remove_folder(root)
    return len(clips)


def _is_whole(root: Path, clips: Sequence[Clip], facts: dict[str, object]) -> bool:
    """Return whether a folder holds just these clips, by their names, and their text files, as
    this version makes them."""
    paths = [root / path_of(clip) for clip in clips]
    folders = {root / path.relative_to(root).parts[0] for path in paths}
    if not root.is_dir() or {path for path in root.iterdir() if path.is_dir()} != folders:
        return False
    marked = [folder / SYNTHETIC_MARK for folder in (root, *folders)]
    facts = facts | {"n_files": _n_files(root)}
    return all(_facts_of(mark) == facts for mark in marked) and all(map(Path.is_file, paths))


def _n_files(root: Path) -> int:
    return sum(path.is_file() and path.name != SYNTHETIC_MARK for path in root.rglob("*"))


def _facts_of(mark: Path) -> object:
    try:
        return json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _is_ours(path: Path) -> bool:
    return path.name == SYNTHETIC_MARK or (path / SYNTHETIC_MARK).is_file()


def lay(root: Path, clips: Sequence[Clip], seed: int = 0, progress: Progress | None = None) -> None:
    """Write clips and their corpora's text files below a root, without marking them synthetic."""
    from joblib import Parallel, delayed

    paths = [root / path_of(clip) for clip in clips]
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for corpus, text_files in TEXT_FILES.items():
        if mine := [clip for clip in clips if clip.corpus == corpus]:
            for name, content in text_files(mine).items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content, encoding="utf-8")
    work = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_speak)(clip, path, seed) for clip, path in zip(clips, paths, strict=True)
    )
    for _ in (progress or default_progress()).track(work, len(clips), "synthesising"):
        pass


def _speak(clip: Clip, path: Path, seed: int) -> None:
    rate = SAMPLE_RATES_HZ.get(clip.corpus, DEFAULT_RATE_HZ)
    waveform = utter(clip.voice, clip.voiced, key=clip.id, seed=seed, sample_rate_hz=rate)
    audio.write_synthetic(path, waveform, rate)
