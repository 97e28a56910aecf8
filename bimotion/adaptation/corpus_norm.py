"""Standardisation of each corpus with its own unlabelled mean and scale: z = (x - mean_corpus) /
scale_corpus.

Source: Schuller et al., "Cross-corpus acoustic emotion recognition: variances and strategies", IEEE
Trans. Affective Computing 1 (2010) (corpus normalisation). Exact for a shift of mean and scale a
feature; a target with other shares of the classes than the source is shifted by that, too.
`corpus-norm-em` takes that part out again: clips are weighted so that each corpus has the source's
class shares (label_shift.py; ours). `corpus-norm-em-network` is the network of the trained methods
on such features: what dann, shot and nnpm begin with.
"""

from dataclasses import dataclass
from typing import Literal

from bimotion.adaptation.label_shift import matched_moments, matched_source
from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.network import NetworkMethod
from bimotion.adaptation.standardising import GroupMoments


@dataclass(frozen=True)
class GroupNorm(Method):
    """Logistic regression on features standardised by corpus or, where it is known, by speaker.

    Moments of the target come from the clips adapted to. A corpus or speaker of few or no clips
    among them has the next larger group's: its corpus's, or those of all of the target.
    """

    by: Literal["corpus", "speaker"] = "corpus"

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        if self.by not in source.learnt:
            source.learnt[self.by] = source.fitted(GroupMoments(source.clips, self.by))
        head, standardised = source.learnt[self.by], GroupMoments(target, self.by)
        return lambda clips: head.predict(standardised(clips))


class MatchedNorm(Method):
    """Logistic regression on features standardised by corpus, clips weighted to the source's class
    shares."""

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        head, standardised = matched_source(source).head, matched_moments(source, target)
        return lambda clips: head.predict(standardised(clips))


METHODS = (
    GroupNorm("corpus-norm", "Corpus z-normalisation (Schuller et al. 2010)", "corpus-norm"),
    MatchedNorm("corpus-norm-em", "Corpus z-normalisation at equal class shares", "corpus-norm"),
    NetworkMethod(
        "corpus-norm-em-network",
        "Corpus z-normalisation at equal class shares (network)",
        "corpus-norm",
        by_corpus=True,
    ),
)
