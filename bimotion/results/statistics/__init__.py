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
gaps.py          differences between ages and languages, and how large they are by chance alone
ages.py          an age gap at other thresholds, where ages were measured
calibration.py   whether probabilities mean what they say
"""
