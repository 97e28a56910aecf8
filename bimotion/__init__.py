"""BiMotion: datasets, protocol and evaluation for speech emotion recognition across languages and
age groups.

Importing it registers the builders, so that
`datasets.load_dataset("bimotion", "eng_eld", data_dir=...)` works. Public names are imported when
first used: `import bimotion` loads neither torch nor datasets.
"""

import importlib
from typing import TYPE_CHECKING

from bimotion.data.huggingface.register import register as _register
from bimotion.data.huggingface.register import (
    when_datasets_is_imported as _when_datasets_is_imported,
)

__version__ = "0.1.0"

_PUBLIC = {
    "load_dataset": "bimotion.data.huggingface.loading",
    "decode": "bimotion.data.huggingface.builder",
    "evaluate": "bimotion.evaluation.run",
    "FinetuneOptions": "bimotion.models.recipe",
    "Result": "bimotion.results.record",
    "paper_tables": "bimotion.analysis.paper_tables",
    "read_result": "bimotion.results.rescoring",
    "Utterance": "bimotion.corpora.utterance",
    "BimotionError": "bimotion.errors",
}
__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:  # what editors and type checkers read (py.typed); __getattr__ tells them nothing
    from bimotion.analysis.paper_tables import paper_tables as paper_tables
    from bimotion.corpora.utterance import Utterance as Utterance
    from bimotion.data.huggingface.builder import decode as decode
    from bimotion.data.huggingface.loading import load_dataset as load_dataset
    from bimotion.errors import BimotionError as BimotionError
    from bimotion.evaluation.run import evaluate as evaluate
    from bimotion.models.recipe import FinetuneOptions as FinetuneOptions
    from bimotion.results.record import Result as Result
    from bimotion.results.rescoring import read_result as read_result

_when_datasets_is_imported(_register)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bimotion' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
