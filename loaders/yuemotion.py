"""YueMotion: Cantonese emotional speech of adults and elders. Configs: two cells and their union."""

from typing import ClassVar

from bimotion import dataset


class Builder(dataset.Builder):
    """`load_dataset("yuemotion", "yue_adu", data_dir="/corpora")`"""

    DATASET = "yuemotion"
    BUILDER_CONFIGS: ClassVar = [dataset.Config(name=name) for name in dataset.CONFIGS["yuemotion"]]
