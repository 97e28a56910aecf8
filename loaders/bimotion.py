"""BiMotion: English and Mandarin emotional speech of adults and elders. Configs: four cells and
their unions."""

from typing import ClassVar

from bimotion.data.huggingface import builder


class Builder(builder.Builder):
    """`load_dataset("bimotion", "eng_eld", data_dir="/corpora")`"""

    DATASET = "bimotion"
    BUILDER_CONFIGS: ClassVar = [builder.Config(name=name) for name in builder.CONFIGS["bimotion"]]
