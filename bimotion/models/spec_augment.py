"""SpecAugment (arXiv 1904.08779) drawn on the host, for each clip from its own seed: no wait for
the device, no trace of the batch or of the number of processes.

The models of transformers take time masks as `mask_time_indices`, but write them by an index that
waits for the device, and draw feature masks from a global generator; so the method that does both
gives way to one that does neither.
"""

import numpy as np

from bimotion.models.inputs import Intake


class SpecAugment:
    """Takes the place of the masking of a model's layers while it trains. `seeds`: one a clip of
    the batch at hand."""

    def __init__(self, model, intake: Intake):
        self.model, self.intake, self.seeds = model, intake, None
        for module in model.modules():
            if hasattr(module, "_mask_hidden_states") and hasattr(module, "masked_spec_embed"):
                module._mask_hidden_states, self.embedding = self._masked, module.masked_spec_embed

    def _masked(self, hidden, mask_time_indices=None, attention_mask=None):
        """Hidden states (n, frames, dim) with spans of frames and of features masked, as the
        configuration asks."""
        import torch

        config = self.model.config
        if (
            not self.model.training
            or not getattr(config, "apply_spec_augment", True)
            or self.seeds is None
        ):
            return hidden
        shape, generators = hidden.shape, [np.random.default_rng(seed) for seed in self.seeds]
        for kind, axis in (("time", 1), ("feature", 2)):
            share, span, least = (
                getattr(config, f"mask_{kind}_{name}", 0)
                for name in ("prob", "length", "min_masks")
            )
            if not share:
                continue
            sizes = self.intake.n_frames().tolist() if kind == "time" else [shape[2]] * shape[0]
            drawn = [
                np.pad(spans(generator, size, share, span, least), (0, shape[axis] - size))
                for generator, size in zip(generators, sizes, strict=True)
            ]
            where = (
                torch.from_numpy(np.stack(drawn))
                .unsqueeze(3 - axis)
                .to(hidden.device, non_blocking=True)
            )
            fill = self.embedding.to(hidden.dtype) if kind == "time" else hidden.new_zeros(())
            hidden = torch.where(where, fill, hidden)
        return hidden


def spans(
    generator: np.random.Generator, size: int, share: float, span: int, least: int
) -> np.ndarray:
    """Which of `size` places to mask, bool (size,): spans of one length that cover about a share,
    at least so many spans.

    >>> int(spans(np.random.default_rng(0), 100, 0.2, 10, 2).sum()) in range(10, 21)
    True
    """
    masked = np.zeros(size, bool)
    n = min(max(int(share * size / span + generator.random()), least), size // span)
    for start in generator.choice(size - span + 1, n, replace=False) if n else ():
        masked[start : start + span] = True
    return masked
