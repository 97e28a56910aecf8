"""BiMotion: English and Mandarin emotional speech of adults and elders. Configs: four cells and their unions."""

from typing import ClassVar

from bimotion import dataset


class Builder(dataset.Builder):
    """`load_dataset("bimotion", "eng_eld", data_dir="/corpora")`"""

    DATASET = "bimotion"
    BUILDER_CONFIGS: ClassVar = [dataset.Config(name=name) for name in dataset.CONFIGS["bimotion"]]
