"""Training sets that differ in one leak, and in nothing else: what is it worth to know the voices,
or the words, of a test beforehand?

Of one corpus in one cell and fold, the texts are cut in two halves, by hash. Tested are the fold's
speakers with one half; the training speakers with the other half are the training set `none`, which
knows neither voice nor text of the test. `speaker` has some of its clips replaced by the tested
speakers' clips of the other half, `text` the same ones by the training speakers' clips of the
tested half: as many of each class, so that all have one size and one mix of labels. Validation is
the same for all: other speakers with the other half.

Where texts are not known (IEMOCAP) half of the clips of each tested speaker and class is tested,
and there is no `text`. Where a cell is one speaker, whose folds are of texts (TESS), there is no
`speaker`: half of the clips of the fold's texts is tested, `none` has other texts, and `text` has
some of its clips replaced by the other half, the tested texts' other clips.
"""

import numpy as np
import pandas as pd

from bimotion.data.rules import N_FOLDS, hash_of


def parts(clips: pd.DataFrame, fold: int, leak: str, seed: int) -> dict[str, np.ndarray]:
    """Index of the clips of each part, ascending.

    Args:
        clips: Those of one corpus and cell: columns id, speaker, sentence, class, fold.
        fold: Whose speakers are tested.
        leak: `none`, `speaker` or `text`; what a corpus cannot have is as `none`.
        seed: Of the order of texts and clips.
    """
    order = pd.Series([hash_of(name, seed) for name in clips["id"]], clips.index)
    clips = clips.assign(hash=order).sort_values("hash")
    is_one_voice = clips["speaker"].nunique() == 1
    has_text = not is_one_voice and bool(clips["sentence"].notna().all())
    is_asked = _of_texts(clips, fold, seed) if has_text else _of_clips(clips)
    is_tested = clips["fold"] == fold
    is_validation = clips["fold"] == (fold + 1) % N_FOLDS
    trains = ~(is_tested | is_validation)
    other = ~is_asked if has_text else pd.Series(True, clips.index)
    base, rest_of_fold = clips[trains & other], clips[is_tested & ~is_asked]
    pools = {"text" if is_one_voice else "speaker": rest_of_fold}
    if has_text:
        pools["text"] = clips[trains & is_asked]
    train = base.index
    if leak in pools:
        sizes = [pool["class"].value_counts() for pool in (base, *pools.values())]
        n_swapped = pd.concat(sizes, axis=1).fillna(0).min(axis=1).astype(int)
        train = train.difference(_first(base, n_swapped))
        train = train.union(_first(pools[leak], n_swapped))
    chosen = {
        "train": train,
        "validation": clips.index[is_validation & other],
        "test": clips.index[is_tested & is_asked],
    }
    return {part: np.sort(index.to_numpy(int)) for part, index in chosen.items()}


def _of_texts(clips: pd.DataFrame, fold: int, seed: int) -> pd.Series:
    """True where a clip's text is in the half that is tested in a fold."""
    texts = sorted(clips["sentence"].unique(), key=lambda text: hash_of(f"{fold} {text}", seed))
    return clips["sentence"].isin(texts[: (len(texts) + 1) // 2])


def _of_clips(clips: pd.DataFrame) -> pd.Series:
    """True for every other clip of each speaker and class."""
    return clips.groupby(["speaker", "class"]).cumcount() % 2 == 0


def _first(clips: pd.DataFrame, n: pd.Series) -> pd.Index:
    """The first `n` (index: class) clips of each class."""
    return clips.index[clips.groupby("class").cumcount() < clips["class"].map(n).fillna(0)]
