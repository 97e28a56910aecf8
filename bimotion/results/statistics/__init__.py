"""Honest statistics of a predictions table: intervals by speakers, paired comparisons, ranks, gaps,
calibration.

Clips of one speaker are no independent tests of a model: what counts is always a speaker with all
of the clips, known or stated.

counts.py            hits, predicted and true clips, by speaker: metrics and their gradients
latent.py            how many speakers stand behind clips of unknown speakers: stated, with a reason
label_ranking.py     average precision and area under the ROC curve of each label
estimate.py          a number with what every clip and seed adds to it
spread.py            standard error, interval and p-value, of one model of speakers
from_predictions.py  the estimates of every corpus, cell and setting
paired.py            two models on the same clips; correction for many comparisons
ranks.py             intervals of ranks, and groups of models that cannot be told apart
ages.py              what age does within corpora that hold both age groups
gaps.py              differences between cells, of corpora as much as of ages and languages
calibration.py       whether probabilities mean what they say
"""
