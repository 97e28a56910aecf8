"""Presets: what `bimotion evaluate` asks where nothing else is said, one word each."""

from dataclasses import dataclass

from bimotion.data.rules import DEFAULT_RULE
from bimotion.errors import known_name


@dataclass(frozen=True)
class Preset:
    """The options that a name stands for; whoever gives an option overrides it."""

    split_rule: str
    schema: str
    protocol: str = "all"
    seeds: tuple[int, ...] = (0,)
    recipe: str = "benchmark"
    """Of track `finetune` (models/recipe.py)."""


BENCHMARK = Preset(DEFAULT_RULE, "valence")
PRESETS = {
    "benchmark": BENCHMARK,
    "paper": Preset("paper", "emotion", protocol="paper", recipe="paper"),
}
"""`benchmark`: everybody is tested, and every cell has the same classes. `paper`: the splits,
classes, training sets and recipe of arXiv 2306.14517."""


def preset_named(name: str) -> Preset:
    """The preset of a name; raises UnknownName.

    >>> preset_named("paper").split_rule
    'paper'
    """
    return PRESETS[known_name("preset", name, PRESETS)]
