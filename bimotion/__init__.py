"""BiMotion: datasets, protocol and evaluation for speech emotion recognition across languages and age groups.

Importing it registers the builders, so that `datasets.load_dataset("bimotion", "eng_eld", data_dir=...)` works.
Public names are imported when first used: `import bimotion` loads neither torch nor datasets.
"""

import importlib
from typing import TYPE_CHECKING

from bimotion.registration import register as _register
from bimotion.registration import when_datasets_is_imported as _when_datasets_is_imported

__version__ = "0.1.0"

_PUBLIC = {
    "load_dataset": "bimotion.loading",
    "decode": "bimotion.dataset",
    "evaluate": "bimotion.runner",
    "FinetuneOptions": "bimotion.models.training",
    "Result": "bimotion.results",
    "read_result": "bimotion.rescoring",
    "Utterance": "bimotion.utterance",
    "BimotionError": "bimotion.errors",
}
__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:  # what editors and type checkers read (py.typed); __getattr__ tells them nothing
    from bimotion.dataset import decode as decode
    from bimotion.errors import BimotionError as BimotionError
    from bimotion.loading import load_dataset as load_dataset
    from bimotion.models.training import FinetuneOptions as FinetuneOptions
    from bimotion.rescoring import read_result as read_result
    from bimotion.results import Result as Result
    from bimotion.runner import evaluate as evaluate
    from bimotion.utterance import Utterance as Utterance

_when_datasets_is_imported(_register)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bimotion' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
