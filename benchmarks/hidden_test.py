"""What scores in steps hide of a hidden test, and what they do not: python -m
benchmarks.hidden_test

Prints the two tables of docs/leaderboard.md. Test sets have the sizes of the rosters under split
rule `folds`, three classes (shares 0.2, 0.2, 0.6) and decisions of which 0.6 are right. First, how
far one decision moves the score of a cell. Then the labels of one test set are guessed from scores
alone: each submission is drawn at random, and votes with as much weight as it scores above the
mean of all (Blum and Hardt 2015, arXiv 1502.04585); the guess is what has most votes.
"""

from collections import defaultdict

import numpy as np

from benchmarks.power import tested
from bimotion.results.metrics import weighted_f1

SHARES, SKILL = (0.2, 0.2, 0.6), 0.6
N_CLIPS, REPEATS = 353, 200
SUBMISSIONS, STEPS = (3, 36, 360), (None, 1, 5)


def decisions(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of n clips, and decisions of which a share SKILL is right."""
    labels = rng.choice(3, n, p=SHARES)
    others = (labels + rng.integers(1, 3, n)) % 3
    return labels, np.where(rng.random(n) < SKILL, labels, others)


def moved(rng: np.random.Generator, n: int) -> float:
    """By how much the score of a corpus of n clips moves, in percent, when a wrong decision is made
    right: the mean over 200 of them."""
    labels, decided = decisions(rng, n)
    before, after = weighted_f1(labels, decided, [0, 1, 2]), []
    for row in rng.permutation(np.flatnonzero(labels != decided))[:200]:
        corrected = decided.copy()
        corrected[row] = labels[row]
        after.append(weighted_f1(labels, corrected, [0, 1, 2]))
    return 100 * float(np.mean(after) - before)


def guessed(rng: np.random.Generator, n_submissions: int, step: int | None) -> float:
    """The share of labels that is right when it is guessed from scores."""
    labels = rng.integers(0, 3, N_CLIPS)
    sent = rng.integers(0, 3, (n_submissions, N_CLIPS))
    scores = 100 * (sent == labels).mean(axis=1)
    if step is not None:
        scores = np.round(scores / step) * step
    weights = scores - scores.mean()
    votes = np.stack([weights @ (sent == label) for label in range(3)])
    return 100 * float((votes.argmax(axis=0) == labels).mean())


def main() -> None:
    rng = np.random.default_rng(0)
    cells = defaultdict(list)
    for corpus in tested("folds"):
        cells[corpus.name.split("/")[0]].append(corpus.n_clips)
    print(
        "| cell | test clips of its corpora | one decision moves its score by | decisions to 1 % |"
    )
    print("|---|---|---|---|")
    for cell, n_clips in cells.items():
        # the score of a cell is the mean of its corpora
        of_cell = np.mean([moved(rng, n) for n in n_clips]) / len(n_clips)
        print(f"| {cell} | {', '.join(map(str, n_clips))} | {of_cell:.3f} % | {1 / of_cell:.0f} |")
    print()
    shown = ["to the digit", *(f"in steps of {step} %" for step in STEPS[1:])]
    print(f"| submissions | {' | '.join(shown)} |")
    print("|---|" + "---|" * len(STEPS))
    for n in SUBMISSIONS:
        means = [np.mean([guessed(rng, n, step) for _ in range(REPEATS)]) for step in STEPS]
        print(f"| {n} | {' | '.join(f'{mean:.1f} %' for mean in means)} |")


if __name__ == "__main__":
    main()
