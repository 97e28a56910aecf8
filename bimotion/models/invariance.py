"""Whether a model gives a clip the same features alone as in a batch."""

from collections.abc import Callable

import numpy as np

from bimotion.errors import ClipError


def largest_difference(
    model: str, together: np.ndarray, alone: Callable[[int], np.ndarray]
) -> float:
    """Largest absolute difference between clips in one batch and each of them alone.

    Args:
        model: Name, for errors.
        together: Features or logits of the batch, shape (n_clips, ...).
        alone: Place of a clip -> what the model gives of it alone, shape (1, ...).

    Raises:
        ClipError: NaN or infinity, with the clip's place in the batch.
    """
    largest = 0.0
    for place, row in enumerate(together):
        try:
            found = alone(place)[0]
        except ClipError as error:
            raise ClipError(error.model, place, f"alone: {error.reason}") from error
        for how, values in (("in a batch", row), ("alone", found)):
            if not np.isfinite(values).all():
                reason = f"{how}: expected finite features or logits, found NaN or infinity"
                raise ClipError(model, place, reason)
        largest = max(largest, float(np.abs(found - row).max(initial=0)))
    return largest
