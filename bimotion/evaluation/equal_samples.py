"""Test clips that a model heard in training: equal samples in a test part and in a training or
validation part.

Equal samples have equal lengths, so only clips whose headers agree are looked at: first a few
samples from the middle of each, then, where these agree too, all of them. Of most corpora few clips
are decoded for it. What was seen is kept in the cache.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
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
UNREADABLE = ""
"""In the place of a hash: such a clip is equal to none."""


def counted(labelled: LabelledClips, plan: RunPlan, progress: Progress) -> list[Duplicates]:
    """For every training set and every (cell, corpus) that it is tested on: how many test clips it
    heard, and how many of these under another label, which is where two clips differ in a class
    that both corpora annotate."""
    if not any(len(one.train) for one in plan.training_sets):
        return []
    rows = plan.rows()
    groups = np.full(len(labelled.table), -1)
    groups[rows] = equal_samples(labelled.selection.manifest, labelled.table.loc[rows], progress)
    return [
        found for one in plan.training_sets for found in _of_training_set(one, labelled, groups)
    ]


def _of_training_set(
    one: TrainingSet, labelled: LabelledClips, groups: np.ndarray
) -> Iterator[Duplicates]:
    heard = np.concatenate([one.train, one.validation])
    heard = heard[groups[heard] >= 0]
    known, place = np.unique(groups[heard], return_inverse=True)
    marked = {mark: np.zeros((len(known), labelled.reference.shape[1]), bool) for mark in (0, 1)}
    for mark, found in marked.items():
        np.logical_or.at(found, place, labelled.reference[heard] == mark)
    corpora = labelled.table["corpus"].to_numpy()
    for setting, target in zip(one.settings, one.targets, strict=True):
        for corpus in sorted(set(corpora[target.test])):
            test = target.test[corpora[target.test] == corpus]
            twins = test[np.isin(groups[test], known)]
            place, reference = np.searchsorted(known, groups[twins]), labelled.reference[twins]
            contradicts = ((reference == 1) & marked[0][place]) | (
                (reference == 0) & marked[1][place]
            )
            n_contradicting = int(contradicts.any(axis=1).sum())
            yield Duplicates(
                one.name, str(setting.test), corpus, len(test), len(twins), n_contradicting
            )


def equal_samples(manifest: Manifest, rows: pd.DataFrame, progress: Progress) -> np.ndarray:
    """A number for each of some rows of manifest.table with their `part`, shape (len(rows),): the
    same for rows of equal samples (`audio.content`), of which some are tested and some are trained
    on; -1 for all others."""
    found = rows[["id", "corpus", "path", "part"]].reset_index(drop=True)
    found["key"] = [
        f"{frames}@{rate}"
        for frames, rate in zip(rows["n_frames"], rows["sample_rate_hz"], strict=True)
    ]
    for kind, look in (("glance", _glance), ("sha256", _sha256)):
        found = found[_is_split(found)].copy()
        if found.empty:
            break
        seen = {
            name: _looked_at(manifest, name, mine, kind, look, progress)
            for name, mine in found.groupby("corpus")
        }
        digests = [
            seen[name][clip] for name, clip in zip(found["corpus"], found["id"], strict=True)
        ]
        found["key"] = [
            f"{key} {digest}" for key, digest in zip(found["key"], digests, strict=True)
        ]
        found = found[[digest != UNREADABLE for digest in digests]]
    found = found[_is_split(found)]
    numbers = np.full(len(rows), -1)
    numbers[found.index] = pd.factorize(found["key"])[0]
    return numbers


def _is_split(found: pd.DataFrame) -> np.ndarray:
    """Rows whose key stands both in a test part and in another."""
    tested = found["part"] == "test"
    return (
        found["key"].isin(found["key"][tested]) & found["key"].isin(found["key"][~tested])
    ).to_numpy()


def _looked_at(
    manifest: Manifest,
    corpus: str,
    rows: pd.DataFrame,
    kind: str,
    look: Callable[[Path], str],
    progress: Progress,
) -> dict[str, str]:
    """Clip -> what `look` makes of its file, kept in the cache a corpus at a time."""
    state = manifest.states[corpus]
    target = files.cache_dir() / "duplicates" / f"{audio.version()}-{corpus}-{state}.{kind}.json"
    kept = files.read_sealed(target, progress.say)
    known = {} if kept is None else json.loads(kept)
    todo = rows[~rows["id"].isin(known)]
    if len(todo):
        from concurrent.futures import ThreadPoolExecutor

        from joblib import cpu_count

        paths = [manifest.path(corpus, path) for path in todo["path"]]
        inodes = list(map(_inode, paths))
        distinct = dict(zip(inodes, paths, strict=True))  # links to one file need one look
        with ThreadPoolExecutor(cpu_count()) as pool:
            label = f"looking for duplicates: {corpus}"
            made = list(progress.track(pool.map(look, distinct.values()), len(distinct), label))
        of_inode = dict(zip(distinct, made, strict=True))
        known |= {clip: of_inode[inode] for clip, inode in zip(todo["id"], inodes, strict=True)}
        files.write_sealed(target, json.dumps(known).encode())
        # of the corpus's folder: copies elsewhere keep what is theirs
        place = state.partition("-")[0]
        files.remove_others(
            target.parent, keep=[target], pattern=f"*-{corpus}-{place}-*.{kind}.json"
        )
    return known


def _inode(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino


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
