"""Does a model give a clip the same features alone as in a batch?"""

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
        alone: Number of a clip -> what the model gives of it alone, shape (1, ...).

    Raises:
        ClipError: NaN or infinity, with the clip's number in the batch.
    """
    largest = 0.0
    for number, row in enumerate(together):
        try:
            single = alone(number)[0]
        except ClipError as error:
            raise ClipError(error.model, number, f"alone: {error.reason}") from error
        for how, values in (("in a batch", row), ("alone", single)):
            if not np.isfinite(values).all():
                reason = f"{how}: expected finite features or logits, found NaN or infinity"
                raise ClipError(model, number, reason)
        largest = max(largest, float(np.abs(single - row).max(initial=0)))
    return largest
