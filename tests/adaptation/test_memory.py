"""The memory of the reconstructed NNPM, against the literal definition of its candidates and
votes."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from bimotion.adaptation.memory import MAX_SLOTS, Memory, slots
from bimotion.adaptation.nnpm import class_loss, multilabels, slot_loss


@pytest.fixture
def memory():
    """300 slots of three classes, half of them of the first; not every source clip has one."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor([500, 75, 75]))
    memory = Memory(labels, 3, seed=0, n_slots=450)
    memory.fill(normalize(torch.randn(300, 6, generator=generator), dim=1))
    return memory


@pytest.mark.parametrize("prior_correction", [True, False])
def test_votes_are_the_literal_definition(memory, prior_correction):
    clips = memory.features[:20].roll(1, dims=1)
    neighbours = memory.neighbours(clips, prior_correction=prior_correction)
    for row, clip in enumerate(clips):
        s = (memory.features @ clip).numpy()
        k = int(np.clip((s > memory.threshold).sum(), 10, 15))  # 5 % of 300
        top = np.argsort(-s, kind="stable")[:k]
        votes = np.zeros(3)
        for slot in top:
            votes[memory.labels[slot]] += max(s[slot], 0)
        if prior_correction:
            votes /= np.array([150, 75, 75]) / 300
        assert set(neighbours.slots[row][neighbours.within[row]].tolist()) == set(top)
        assert neighbours.votes[row].numpy() == pytest.approx(votes / votes.sum(), abs=1e-5)


def test_threshold_is_the_median_of_pairs_of_one_class(memory):
    similarities = (memory.features @ memory.features.T).numpy()
    is_pair = np.tril(memory.labels[:, None].numpy() == memory.labels.numpy(), -1)
    assert memory.threshold == pytest.approx(np.median(similarities[is_pair]), abs=1e-3)


def test_only_slots_of_the_batch_move(memory):
    before = memory.features.clone()
    absent = min(set(range(650)) - set(memory.rows.tolist()))
    batch = torch.tensor([memory.rows[0], memory.rows[2], absent])
    moved = normalize(torch.ones(3, 6), dim=1)
    memory.update(batch, moved, keep=0.25)
    assert (memory.features != before).any(dim=1).nonzero().ravel().tolist() == [0, 2]
    wanted = 0.25 * before[2] + 0.75 * moved[1]
    assert torch.allclose(memory.features[2], wanted / wanted.norm())


def test_slots_are_balanced_and_bounded():
    labels = np.repeat([0, 1, 2], [9000, 3000, 50])
    rows = slots(labels, 3, seed=0, n_slots=MAX_SLOTS)
    assert np.bincount(labels[rows]).tolist() == [170, 170, 50]
    assert (rows == slots(labels, 3, seed=0, n_slots=MAX_SLOTS)).all()
    assert (rows != slots(labels, 3, seed=1, n_slots=MAX_SLOTS)).any()


@pytest.mark.parametrize(
    ("votes", "chosen"),
    [
        # 1.5 / K is 0.75 of two classes: a vote of 0.6 gives none, and counts in no loss
        ([0.6, 0.4], [False, False]),
        ([0.8, 0.2], [True, False]),
        ([0.5, 0.4, 0.1, 0.0], [True, True, False, False]),
    ],
)
def test_multilabels(votes, chosen):
    labels, kept = multilabels(torch.tensor([votes]), several=True)
    assert (labels[0].tolist(), bool(kept[0])) == (chosen, any(chosen))


def test_multilabels_of_three_classes_are_single_ones():
    """1.5 / K is then the 0.5 that a clip needs to count at all: under `valence` the ablation
    `top-1` takes nothing away."""
    votes = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(3), 500))
    several, single = (multilabels(votes, several=several) for several in (True, False))
    assert all(map(torch.equal, several, single))


def test_class_loss_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]]))
    loss = class_loss(logits, torch.tensor([[True, True, False]]))
    assert float(loss) == pytest.approx(-(np.log(0.5) + np.log(0.25)) / 2, abs=1e-6)


def test_slot_loss_is_the_literal_definition(memory):
    neighbours = memory.neighbours(memory.features[:12].roll(1, dims=1), prior_correction=True)
    chosen = torch.nn.functional.one_hot(neighbours.votes.argmax(dim=1), 3).bool()
    chosen[:3, 0] = True
    losses = []
    for row in range(12):
        s, belongs = neighbours.similarities[row].numpy(), chosen[row].numpy()[memory.labels]
        near = neighbours.slots[row][neighbours.within[row]].numpy()
        positive, negative = s[near[belongs[near]]], np.sort(s[~belongs])[::-1]
        hard = negative[: max(1, int(0.05 * len(negative)))]
        losses.append(5 * ((1 - positive) ** 2).mean() + ((1 + hard) ** 2).mean())
    loss = slot_loss(neighbours, chosen, memory.labels)
    assert float(loss) == pytest.approx(np.mean(losses), abs=1e-5)
