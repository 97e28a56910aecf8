"""Nearest neighbours of clips among themselves, a block of rows at a time: no n x n matrix is ever
held."""

import numpy as np

BLOCK_ROWS = 512


def nearest(features, k: int) -> np.ndarray:
    """The k other rows with the largest cosine, int64, shape (n, min(k, n - 1)), of float32
    features, tensor (n, dim).

    >>> import torch
    >>> nearest(torch.tensor([[1, 0], [2, 0.1], [0, 1]]), 1).ravel().tolist()
    [1, 0, 1]
    """
    import torch

    unit = torch.nn.functional.normalize(features, dim=1)
    neighbours = torch.empty(len(unit), min(k, len(unit) - 1), dtype=torch.int64)
    for start in range(0, len(unit), BLOCK_ROWS):
        cosines = unit[start : start + BLOCK_ROWS] @ unit.T
        # not its own neighbour
        cosines[torch.arange(len(cosines)), start + torch.arange(len(cosines))] = -2.0
        neighbours[start : start + BLOCK_ROWS] = cosines.topk(neighbours.shape[1], dim=1).indices
    return neighbours.numpy()
