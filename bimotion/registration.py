"""Makes `datasets.load_dataset("bimotion", ...)` find the builders: the only place that touches private names of `datasets`."""

import importlib
import warnings
from types import ModuleType

BUILDERS = {"bimotion": "bimotion.loaders.bimotion", "yuemotion": "bimotion.loaders.yuemotion"}


def when_datasets_is_imported(register) -> None:
    """Call `register(datasets.load)` now if `datasets` is there already, else right after its import; never imports it."""
    import wrapt

    wrapt.register_post_import_hook(register, "datasets.load")


def register(load: ModuleType) -> None:
    """Enter the builders in the table of packaged modules of `datasets.load`.

    The stock factory of packaged modules globs `data_dir` for data files (minutes over 62 k clips, and the current folder
    where no data_dir is given); ours answers for our names without looking.
    """
    try:
        table = load._PACKAGED_DATASETS_MODULES
        factory, module, files = load.PackagedDatasetModuleFactory, load.DatasetModule, load.DataFilesDict
    except AttributeError as error:
        warnings.warn(
            f"this version of `datasets` keeps its packaged modules elsewhere ({error}): datasets.load_dataset('bimotion') "
            "will not be found, use bimotion.load_dataset",
            stacklevel=2,
        )
        return
    table.update({name: (path, "") for name, path in BUILDERS.items()})

    class Factory(factory):
        def get_module(self):
            if self.name not in BUILDERS:
                return super().get_module()
            return module(BUILDERS[self.name], "", {"data_files": files(), "dataset_name": self.name})

    load.PackagedDatasetModuleFactory = Factory


def builder(name: str) -> type:
    """Builder class of a dataset, without the table above."""
    module = importlib.import_module(BUILDERS[name])
    return module.Builder
