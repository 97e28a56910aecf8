"""The memory of the reconstructed NNPM, against the literal definition of its candidates and
votes."""

import numpy as np
import pytest

from bimotion.adaptation.memory import Memory, slots
from bimotion.adaptation.neighbours import nearest
from bimotion.adaptation.nnpm import class_loss, multilabels, slot_loss


@pytest.fixture
def memory():
    import torch

    generator = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(300, 6, generator=generator), dim=1)
    labels = torch.randint(0, 3, (300,), generator=generator)
    labels[:150] = 0
    return Memory(features, labels, np.arange(0, 600, 2), 600, 3)


@pytest.mark.parametrize("prior_correction", [True, False])
def test_votes_are_the_literal_definition(memory, prior_correction):
    memory.estimate()
    clips = memory.features[:20].roll(1, dims=1)
    found = memory.neighbours(clips, prior_correction=prior_correction)
    for row, clip in enumerate(clips):
        s = (memory.features @ clip).numpy()
        k = int(np.clip((s > memory.threshold).sum(), 10, 15))  # 5 % of 300
        top = np.argsort(-s, kind="stable")[:k]
        votes = np.zeros(3)
        for slot in top:
            votes[memory.labels[slot]] += max(s[slot], 0)
        if prior_correction:
            votes /= np.bincount(memory.labels, minlength=3) / 300
        assert set(found.places[row][found.within[row]].tolist()) == set(top)
        assert found.votes[row].numpy() == pytest.approx(votes / votes.sum(), abs=1e-5)


def test_threshold_is_the_median_of_pairs_of_one_class(memory):
    memory.estimate()
    pairs = [
        float(memory.features[i] @ memory.features[j])
        for i in range(300)
        for j in range(i)
        if memory.labels[i] == memory.labels[j]
    ]
    assert memory.threshold == pytest.approx(np.median(pairs), abs=1e-3)


def test_only_slots_of_the_batch_move(memory):
    import torch

    before = memory.features.clone()
    moved = torch.nn.functional.normalize(torch.ones(3, 6), dim=1)
    # rows 0 and 4 are slots 0 and 2; row 5 has none
    memory.update(torch.tensor([0, 4, 5]), moved, keep=0.25)
    assert (memory.features != before).any(dim=1).nonzero().ravel().tolist() == [0, 2]
    wanted = 0.25 * before[2] + 0.75 * moved[1]
    assert torch.allclose(memory.features[2], wanted / wanted.norm())


def test_slots_are_balanced_and_bounded():
    labels = np.repeat([0, 1, 2], [9000, 3000, 50])
    rows = slots(labels, 3, seed=0)
    assert np.bincount(labels[rows]).tolist() == [682, 682, 50]
    assert (rows == slots(labels, 3, seed=0)).all()
    assert (rows != slots(labels, 3, seed=1)).any()


def test_multilabels_of_two_classes_need_a_clear_vote():
    """1.5 / K is 0.75 of two classes: a clip with a vote of 0.6 is given none, and counts in no
    loss."""
    import torch

    chosen, kept = multilabels(torch.tensor([[0.6, 0.4], [0.8, 0.2]]), several=True)
    assert kept.tolist() == [False, True]
    assert chosen.tolist() == [[False, False], [True, False]]


def test_multilabels_of_three_classes_are_single_ones():
    """1.5 / K is then the 0.5 that a clip needs to count at all: under `valence` the ablation
    `top-1` takes nothing away."""
    import torch

    votes = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(3), 500))
    for one, other in zip(
        multilabels(votes, several=True), multilabels(votes, several=False), strict=True
    ):
        assert torch.equal(one, other)
    votes = torch.tensor([[0.5, 0.4, 0.1, 0.0]])
    assert multilabels(votes, several=True)[0].sum() == 2


def test_class_loss_by_hand():
    import torch

    loss = class_loss(
        torch.log(torch.tensor([[0.5, 0.25, 0.25]])), torch.tensor([[True, True, False]])
    )
    assert float(loss) == pytest.approx(-(np.log(0.5) + np.log(0.25)) / 2, abs=1e-6)


def test_slot_loss_is_the_literal_definition(memory):
    import torch

    clips = memory.features[:12].roll(1, dims=1)
    found = memory.neighbours(clips, prior_correction=True)
    chosen = torch.zeros(12, 3, dtype=torch.bool)
    chosen[torch.arange(12), found.votes.argmax(dim=1)] = True
    chosen[:3, 0] = True
    losses = []
    for row in range(12):
        s, belongs = found.similarities[row].numpy(), chosen[row].numpy()[memory.labels]
        near = found.places[row][found.within[row]].numpy()
        positive = s[near[belongs[near]]]
        negative = np.sort(s[~belongs])[::-1]
        hard = negative[: max(1, int(0.05 * len(negative)))]
        losses.append(5 * ((1 - positive) ** 2).mean() + ((1 + hard) ** 2).mean())
    assert float(slot_loss(found, chosen, memory.labels)) == pytest.approx(
        np.mean(losses), abs=1e-5
    )


def test_nearest_neighbours_are_those_of_the_whole_matrix():
    """More rows than a block holds."""
    features = np.random.default_rng(0).normal(size=(1100, 5)).astype(np.float32)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    found = nearest(features, 5)
    assert found.shape == (1100, 5)
    assert np.take_along_axis(cosines, found, 1) == pytest.approx(
        -np.sort(-cosines, axis=1)[:, :5], abs=1e-6
    )
