"""`bimotion.load_dataset`: the builders without the registration in `datasets`."""

import inspect
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bimotion.data.huggingface.builder import CONFIGS
from bimotion.data.huggingface.register import builder, refuse_options
from bimotion.data.rules import DEFAULT_RULE
from bimotion.errors import UnknownName

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict


def load_dataset(
    path: str,
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    split: str | None = None,
    split_rule: str = DEFAULT_RULE,
    split_seed: int = 0,
    fold: int = 0,
    only: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    allow_missing: bool = False,
    streaming: bool = False,
    cache_dir: str | None = None,
    **not_taken: object,
) -> "DatasetDict | Dataset | IterableDatasetDict | IterableDataset":
    """A `DatasetDict` (or the `Dataset` of one split; iterable ones when streaming) of a config.

    Args:
        path: bimotion or yuemotion.
        name: Config: eng_eld, eng_adu, zho_eld, zho_adu, eng, zho, eld, adu, all; yue_adu, yue_eld,
            yue.
        data_dir: Corpora root; None: BIMOTION_CORPORA, else ~/.cache/bimotion/corpora.
        split: One part; None: all.
        split_rule: folds, paper (Tables 1 and 2) or disjoint (splits.py).
        split_seed: Another one cuts the corpora anew.
        fold: Of split rule `folds`, 0 to 4: which clips are tested.
        only: Names of corpora to use; None: all that have clips in the config's cells.
        locations: Corpus -> its folder, where it does not lie below data_dir.
        allow_missing: Go on without corpora or clips that are missing.
        streaming: Make nothing on disk; rows come one at a time.
        cache_dir: Of `datasets`.
        not_taken: Options of `datasets.load_dataset` that would change nothing (data_files,
            revision, features) are refused.

    Raises:
        UnknownName: Of the dataset, the config, a corpus, the split rule or an option.
        SettingError: An option that would be ignored, or a fold that the split rule lacks.
        CorpusNotFound: No corpus lies below the root.
        CorpusIncomplete: Clips are missing.
        CorpusMalformed: Label files cannot be understood.

    Example::

        ds = bimotion.load_dataset("bimotion", "eng_eld", data_dir="/corpora")
        ds["train"].features["emotions"].feature.names
    """
    if path not in CONFIGS:
        raise UnknownName("dataset", path, CONFIGS)
    if name not in CONFIGS[path]:
        raise UnknownName(f"config of {path}", name, CONFIGS[path])
    refuse_options(path, not_taken, _TAKEN)
    made = builder(path)(
        config_name=name,
        data_dir=None if data_dir is None else os.fspath(data_dir),
        cache_dir=cache_dir,
        dataset_name=path,
        split_rule=split_rule,
        split_seed=split_seed,
        fold=fold,
        only=only if only is None or isinstance(only, str) else sorted(only),
        locations=locations and {corpus: os.fspath(path) for corpus, path in locations.items()},
        allow_missing=allow_missing,
    )
    if streaming:
        return made.as_streaming_dataset(split=split)
    made.download_and_prepare()
    return made.as_dataset(split=split)


_TAKEN = [
    name
    for name, taken in inspect.signature(load_dataset).parameters.items()
    if taken.kind is not inspect.Parameter.VAR_KEYWORD
]
