"""Honest statistics of a predictions table: intervals by speakers, paired comparisons, ranks, gaps,
calibration.

Clips of one speaker are no independent tests of a model: what is drawn again is always a speaker
with all of its clips.

counts.py        hits, predicted and true clips of each speaker: every metric is a function of their
                 sums
estimate.py      a number with its bootstrap replicates and its leave-one-out values, and the
                 interval that follows
bootstrap.py     an interval for each row of scoring.scores
paired.py        two models on the same clips; correction for many comparisons
ranks.py         intervals of ranks, and groups of models that cannot be told apart
ages.py          what age does within corpora that hold both age groups
gaps.py          differences between cells, which are of corpora as much as of ages and languages
calibration.py   whether probabilities mean what they say
"""
