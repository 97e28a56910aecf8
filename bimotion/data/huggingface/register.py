"""Makes `datasets.load_dataset("bimotion", ...)` find the builders: the only place that touches
private names of `datasets`."""

import functools
import importlib
import reprlib
import warnings
from collections.abc import Iterable, Mapping
from types import ModuleType

from bimotion.errors import SettingError, UnknownName

BUILDERS = {"bimotion": "bimotion.loaders.bimotion", "yuemotion": "bimotion.loaders.yuemotion"}

NOT_TAKEN = {
    "data_files": "rows come from your own copies of the corpora below data_dir",
    "revision": "the data have no Hub repository; rows change with the corpora on your disk and "
    "the version of bimotion only",
    "features": "columns have fixed types; use .cast() on what is loaded",
}
"""Option of `datasets.load_dataset` that would change nothing -> why."""


def refuse_options(dataset: str, given: Mapping[str, object], known: Iterable[str]) -> None:
    """Raise SettingError for an option that would be ignored, UnknownName for one that nobody
    knows."""
    for name, value in given.items():
        if name in NOT_TAKEN:
            if value is not None:
                raise SettingError(
                    f"load_dataset({dataset!r}, ...) takes no {name}, found "
                    f"{reprlib.repr(value)}: {NOT_TAKEN[name]}"
                )
        elif name not in known:
            raise UnknownName(f"option of load_dataset({dataset!r}, ...)", name, known)


def when_datasets_is_imported(register) -> None:
    """Call `register(datasets.load)` now if `datasets` is there already, else right after its
    import; never imports it."""
    import wrapt

    wrapt.register_post_import_hook(register, "datasets.load")


def register(load: ModuleType) -> None:
    """Enter the builders in the table of packaged modules of `datasets.load`.

    The stock factory of packaged modules globs `data_dir` for data files (minutes over 62 k clips,
    and the current folder where no data_dir is given); ours answers for our names without looking.
    """
    try:
        table = load._PACKAGED_DATASETS_MODULES
        factory, find_module = load.PackagedDatasetModuleFactory, load.dataset_module_factory
        module, files = load.DatasetModule, load.DataFilesDict
    except AttributeError as error:
        warnings.warn(
            f"this version of `datasets` keeps its packaged modules elsewhere ({error}): "
            "datasets.load_dataset('bimotion') will not be found, use bimotion.load_dataset",
            stacklevel=2,
        )
        return
    table.update({name: (path, "") for name, path in BUILDERS.items()})

    class Factory(factory):
        def get_module(self):
            if self.name not in BUILDERS:
                return super().get_module()
            refuse_options(self.name, {"data_files": self.data_files}, ())
            options = {"data_files": files(), "dataset_name": self.name}
            return module(BUILDERS[self.name], "", options)

    @functools.wraps(find_module)
    def dataset_module_factory(path, revision=None, *rest, **options):
        if path in BUILDERS:  # `datasets` itself hears no revision of a packaged module
            refuse_options(path, {"revision": revision}, ())
        return find_module(path, revision, *rest, **options)

    load.PackagedDatasetModuleFactory = Factory
    load.dataset_module_factory = dataset_module_factory


def builder(name: str) -> type:
    """The builder class of a dataset, without the table above."""
    return importlib.import_module(BUILDERS[name]).Builder
