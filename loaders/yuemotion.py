"""YueMotion: Cantonese emotional speech of adults and elders. Configs: two cells and their
union."""

from typing import ClassVar

from bimotion.data.huggingface import builder


class Builder(builder.Builder):
    """`load_dataset("yuemotion", "yue_adu", data_dir="/corpora")`"""

    DATASET = "yuemotion"
    BUILDER_CONFIGS: ClassVar = [builder.Config(name=name) for name in builder.CONFIGS["yuemotion"]]
