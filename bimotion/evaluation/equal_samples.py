"""Test clips that a model heard in training: equal samples in a test part and in a training or
validation part.

Equal samples have equal lengths, so only clips whose headers agree are looked at: first a few
samples from the middle of each, then, where these agree too, all of them. Of most corpora few clips
are decoded for it. Digests are kept in the cache.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.data.labelled import LabelledClips
from bimotion.data.manifest import Manifest
from bimotion.errors import AudioError
from bimotion.evaluation.plan import RunPlan, TrainingSet
from bimotion.io import audio, files
from bimotion.io.progress import Progress
from bimotion.results.duplicates import Duplicates

GLANCE_FRAMES = 256
UNREADABLE = ""  # in place of a hash: such a clip is equal to none


def counted(labelled: LabelledClips, plan: RunPlan, progress: Progress) -> list[Duplicates]:
    """Count, for every training set and every (cell, corpus) that it is tested on, the test clips
    that it heard, and those of them that it heard under another label: where two clips differ in a
    class that both corpora annotate."""
    if not any(len(training.train) for training in plan.training_sets):
        return []
    rows = plan.rows()
    groups = np.full(len(labelled.table), -1)
    groups[rows] = equal_samples(labelled.selection.manifest, labelled.table.loc[rows], progress)
    return _summed(
        duplicates
        for training in plan.training_sets
        for duplicates in _of_training_set(training, labelled, groups)
    )


def _summed(of_folds: Iterable[Duplicates]) -> list[Duplicates]:
    """One row a training set and test set, over its folds."""
    rows: dict[tuple[str, str, str], Duplicates] = {}
    for row in of_folds:
        key = (row.train, row.test, row.corpus)
        known = rows.get(key, Duplicates(*key, 0, 0, 0))
        rows[key] = Duplicates(
            *key,
            n_test=known.n_test + row.n_test,
            n_duplicated=known.n_duplicated + row.n_duplicated,
            n_contradicting=known.n_contradicting + row.n_contradicting,
        )
    return list(rows.values())


def _of_training_set(
    training: TrainingSet, labelled: LabelledClips, groups: np.ndarray
) -> Iterator[Duplicates]:
    heard = np.concatenate([training.train, training.validation])
    heard = heard[groups[heard] >= 0]
    known, index = np.unique(groups[heard], return_inverse=True)
    present, absent = np.zeros((2, len(known), labelled.reference.shape[1]), bool)
    np.logical_or.at(present, index, labelled.reference[heard] == 1)
    np.logical_or.at(absent, index, labelled.reference[heard] == 0)
    corpora = labelled.table["corpus"].to_numpy()
    for setting, target in zip(training.settings, training.targets, strict=True):
        for corpus in sorted(set(corpora[target.test])):
            test = target.test[corpora[target.test] == corpus]
            twins = test[np.isin(groups[test], known)]
            index, reference = np.searchsorted(known, groups[twins]), labelled.reference[twins]
            contradicts = ((reference == 1) & absent[index]) | ((reference == 0) & present[index])
            yield Duplicates(
                train=training.name,
                test=str(setting.test),
                corpus=corpus,
                n_test=len(test),
                n_duplicated=len(twins),
                n_contradicting=int(contradicts.any(axis=1).sum()),
            )


def equal_samples(manifest: Manifest, rows: pd.DataFrame, progress: Progress) -> np.ndarray:
    """A number for each of some rows of manifest.table with their `fold` and `only_part`, shape
    (len(rows),): the same for rows of equal samples (`audio.content`), of which some are tested and
    some are trained on, in any fold; -1 for all others."""
    clips, key = rows.reset_index(drop=True), ["n_frames", "sample_rate_hz"]
    for name, digest in (("glance", _glance), ("sha256", _sha256)):
        clips = clips[_is_split(clips, key)]
        if clips.empty:
            return np.full(len(rows), -1)
        digests = [
            _digests(manifest, corpus, name, digest, of_corpus, progress)
            for corpus, of_corpus in clips.groupby("corpus")
        ]
        clips = clips.assign(**{name: pd.concat(digests)})
        clips, key = clips[clips[name] != UNREADABLE], [*key, name]
    clips = clips[_is_split(clips, key)]
    numbers = np.full(len(rows), -1)
    numbers[clips.index] = clips.groupby(key).ngroup()
    return numbers


def _is_split(clips: pd.DataFrame, key: list[str]) -> pd.Series:
    """The rows whose key others have too, one of them tested and one of them in another part, in
    whatever fold."""
    known = clips.assign(tested=clips["fold"] >= 0, heard=clips["only_part"] != "test").groupby(key)
    is_both = known["tested"].transform("any") & known["heard"].transform("any")
    return is_both & (known["tested"].transform("size") > 1)


def _digests(
    manifest: Manifest,
    corpus: str,
    name: str,
    digest: Callable[[Path], str],
    clips: pd.DataFrame,
    progress: Progress,
) -> pd.Series:
    """The digests of some clips of a corpus, kept in the cache under a name."""
    state = manifest.states[corpus]
    target = files.cache_dir() / "duplicates" / f"{audio.version()}-{corpus}-{state}.{name}.json"
    known = json.loads(files.read_sealed(target, progress.say) or "{}")
    todo = clips[~clips["id"].isin(known)]
    if len(todo):
        from concurrent.futures import ThreadPoolExecutor

        from joblib import cpu_count

        paths = [manifest.path(corpus, path) for path in todo["path"]]
        inodes = list(map(_inode, paths))
        distinct = dict(zip(inodes, paths, strict=True))  # links to one file need one look
        with ThreadPoolExecutor(cpu_count()) as pool:
            label = f"looking for duplicates: {corpus}"
            made = list(progress.track(pool.map(digest, distinct.values()), len(distinct), label))
        of_inode = dict(zip(distinct, made, strict=True))
        known |= {clip: of_inode[inode] for clip, inode in zip(todo["id"], inodes, strict=True)}
        files.write_sealed(target, json.dumps(known).encode())
        # of the corpus's folder: copies elsewhere keep what is theirs
        pattern = f"*-{corpus}-{state.partition('-')[0]}-*.{name}.json"
        files.remove_others(target.parent, keep=[target], pattern=pattern)
    return clips["id"].map(known)


def _inode(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def _glance(path: Path) -> str:
    """Hash of a few samples in the middle; the same text for all files of which these cannot be had
    without the others."""
    import soundfile

    try:
        with soundfile.SoundFile(audio.native(path)) as sound:
            sound.seek(max(0, (sound.frames - GLANCE_FRAMES) // 2))
            samples = sound.read(GLANCE_FRAMES, dtype="float32", always_2d=True).mean(axis=1)
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        return "no glance"
    return hashlib.sha256(np.round(samples * 32767).astype("<i2").tobytes()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    try:
        return audio.content(path).sha256
    except AudioError:
        return UNREADABLE
