"""Standardisation of each speaker with their own unlabelled mean and scale: z = (x - mean_speaker)
/ scale_speaker.

Source: Schuller et al. 2010 (see corpus_norm.py), speaker normalisation; Kaya and Karpov,
"Efficient and effective strategies for cross-corpus acoustic emotion recognition", Neurocomputing
275 (2018), cascade it with others. It assumes that all speakers act the same classes equally often:
one who is always sad becomes neutral. Clips of unknown speakers, and of speakers with few clips,
fall back to their corpus.
"""

from bimotion.adaptation.corpus_norm import GroupNorm

METHODS = (
    GroupNorm(
        "speaker-norm",
        "Speaker z-normalisation (Schuller et al. 2010)",
        "speaker-norm",
        by="speaker",
    ),
)
