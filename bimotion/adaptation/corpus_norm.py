"""Standardisation of each corpus with its own unlabelled mean and scale: z = (x - mean_corpus) /
scale_corpus.

Source: Schuller et al., "Cross-corpus acoustic emotion recognition: variances and strategies", IEEE
Trans. Affective Computing 1 (2010) (corpus normalisation). Exact for a shift of mean and scale a
feature; a target with other shares of the classes than the source is shifted by that, too.
"""

from dataclasses import dataclass

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.network import DEFAULT, Schedule, aligned
from bimotion.adaptation.standardising import GroupMoments


@dataclass(frozen=True)
class GroupNorm(Method):
    """Logistic regression on features standardised by corpus or, where it is known, by speaker.

    Moments of the target come from the clips adapted to. A corpus or speaker of few or no clips
    among them has the next larger group's: its corpus's, or those of all of the target.
    """

    speakers: bool = False

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        head = source.fitted(GroupMoments(source.clips, speakers=self.speakers)(source.clips))
        standardised = GroupMoments(target, speakers=self.speakers)
        return lambda clips: head.predict(standardised(clips))


@dataclass(frozen=True)
class CorpusNormNetwork(Method):
    """The network of the trained methods on features standardised by corpus: what shot and nnpm
    begin with."""

    schedule: Schedule = DEFAULT

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        return aligned(source, target, None, self.schedule, seed, by_corpus=True)


METHODS = (
    GroupNorm("corpus-norm", "Corpus z-normalisation (Schuller et al. 2010)", "corpus-norm"),
    CorpusNormNetwork(
        "corpus-norm-network", "Corpus z-normalisation (network)", "corpus-norm", seeded=True
    ),
)
