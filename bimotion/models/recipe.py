"""The ways to fine-tune a model: two recipes, and the options that change them.

`paper` is what the published code of arXiv 2306.14517 does (HLTCHKUST/elderly_ser: its train.py and
run_training.sh, the defaults of the Trainer of transformers 4.24). `benchmark` differs where that
code looks like an accident, or costs time (docs/paper.md has the table).
"""

from dataclasses import asdict, dataclass

from bimotion.errors import SettingError, known_name
from bimotion.io.bounds import MAX_COUNT, real_number, whole_number

RECIPES = {
    "benchmark": {
        "weight_decay": 0.01,
        "adamw": "torch",
        "precision": "bf16",
        "loss_over_labels": False,
        "raw_amplitude": False,
        "silence_untrained": True,
        "similar_lengths": True,
        "whole_clips": False,
    },
    "paper": {
        "weight_decay": 0.0,
        "adamw": "transformers",
        "precision": "fp16",
        "loss_over_labels": True,
        "raw_amplitude": True,
        "silence_untrained": False,
        "similar_lengths": False,
        "whole_clips": True,
    },
}
"""Recipe -> option -> its value where none is given: all in which the recipes differ."""
ADAMW = ("torch", "transformers")
PRECISIONS = ("bf16", "fp16", "fp32")


@dataclass(frozen=True)
class FinetuneOptions:
    """The way to train, recorded as it is; batches are counted in clips over all processes.

    An option that is None takes the value of the recipe.

    >>> FinetuneOptions(epochs=3).weight_decay, FinetuneOptions(recipe="paper").weight_decay
    (0.01, 0.0)
    """

    learning_rate: float = 5e-5
    """At its highest, after `warmup_steps`; from there it falls linearly to 0."""
    dropout: float = 0.1
    """In place of the model's own (not of its layer drop)."""
    epochs: int = 20
    """At most."""
    patience: int = 5
    """Epochs without a better validation loss, after which training ends."""
    batch_size: int = 8
    """Clips that go through the model together."""
    gradient_accumulation: int = 1
    """Batches in a step of the optimizer."""
    freeze_feature_encoder: bool = False
    """Leave the convolutions before the transformer as they are."""
    lora_rank: int | None = None
    """Of low-rank updates of all linear layers (peft), merged when saved; None: train all."""
    warmup_steps: int = 0
    """Steps in which the learning rate rises."""
    max_gradient_norm: float = 1.0
    """Larger gradients are scaled to it."""
    recipe: str | None = None
    """`benchmark` or `paper`: the values of the options below that are not given. None: that of
    the preset of a run, `benchmark` without any."""
    weight_decay: float | None = None
    """Of matrices, not of biases and norms."""
    adamw: str | None = None
    """`torch`: its AdamW; `transformers`: that of transformers 4.24, whose epsilon is not corrected
    for bias, so that the first steps move parameters with tiny gradients less."""
    precision: str | None = None
    """On GPUs: `bf16` (single precision where a GPU lacks it), `fp16` (with a scaled loss) or
    `fp32`; CPUs compute in single precision."""
    loss_over_labels: bool | None = None
    """The loss of a clip is divided by the number of labels too, as a mean over all outputs is:
    gradients are 13 times smaller, and fewer of them are cut. A softmax has nothing to divide."""
    raw_amplitude: bool | None = None
    """Waveforms go in as they are decoded; else as the feature extractor scales them, for most
    models to mean 0 and variance 1."""
    silence_untrained: bool | None = None
    """A label without a positive training clip is never predicted; else it keeps its output, random
    where no clip is annotated for it."""
    similar_lengths: bool | None = None
    """Clips of a batch are of similar length; else batches are drawn at random."""
    whole_clips: bool | None = None
    """No clip is cut up to two minutes, unless the model has a window of its own; else clips over
    30 s are, in training to one window at random, in tests to windows whose logits are averaged.
    """

    def __post_init__(self):
        given = [name for name in ("recipe", *RECIPES["paper"]) if getattr(self, name) is not None]
        object.__setattr__(self, "_given", given)
        if self.recipe is None:
            object.__setattr__(self, "recipe", "benchmark")
        known_name("recipe", self.recipe, RECIPES)
        for name, value in RECIPES[self.recipe].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
            elif isinstance(value, bool) and not isinstance(getattr(self, name), bool):
                given = getattr(self, name)
                raise SettingError(f"{name}: expected True or False, found {given!r:.80}")
        for name, choices in (("adamw", ADAMW), ("precision", PRECISIONS)):
            known_name(name, getattr(self, name), choices)
        real_number("learning_rate", self.learning_rate, 0, 1, above=True)
        real_number("dropout", self.dropout, 0, 1, below=True)
        whole_number("epochs", self.epochs, 1, 10_000)
        whole_number("patience", self.patience, 1, 10_000)
        whole_number("batch_size", self.batch_size, 1, 65_536)
        whole_number("gradient_accumulation", self.gradient_accumulation, 1, 65_536)
        if self.lora_rank is not None:
            whole_number("lora_rank", self.lora_rank, 1, 4096)
        whole_number("warmup_steps", self.warmup_steps, 0, MAX_COUNT)
        real_number("weight_decay", self.weight_decay, 0, 1)
        real_number("max_gradient_norm", self.max_gradient_norm, 0, 1_000_000, above=True)

    def under(self, recipe: str) -> "FinetuneOptions":
        """The same options; by this recipe where none was given.

        >>> FinetuneOptions(epochs=3).under("paper") == FinetuneOptions(recipe="paper", epochs=3)
        True
        """
        of_recipe = {"recipe", *RECIPES["paper"]}.difference(self._given)
        kept = {name: value for name, value in asdict(self).items() if name not in of_recipe}
        return FinetuneOptions(**{"recipe": recipe} | kept)

    def half_type(self, device):
        """The type of torch that a device computes in beside single precision, or None."""
        import torch

        if device.type != "cuda" or self.precision == "fp32":
            return None
        if self.precision == "fp16":
            return torch.float16
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
