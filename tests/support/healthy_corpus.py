"""Clips of noise in the layout of CSED, and what the doctor says of them."""

import numpy as np
import soundfile

from bimotion.data import rosters
from bimotion.data.checks import doctor
from bimotion.data.source import CorpusSource
from bimotion.io.progress import Progress

FOLDER = "Training Data (wav)"


VICTIM, TWIN = "Nat_male_7", "Nat_male_8"


VICTIM_IS_ODD = list(rosters.load("csed")["stem"]).index(VICTIM) % 2


RATE_HZ = 44100


def noise(path, seed, n_samples=3000, rate=RATE_HZ, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    loudness = np.interp(
        np.arange(n_samples), np.linspace(0, n_samples, 12), generator.uniform(0, 1, 12) ** 2
    )
    # with a shape in time, as speech has one
    samples = 0.2 * loudness * generator.standard_normal(n_samples)
    soundfile.write(path, samples, rate, **{"format": "WAV", "subtype": "PCM_16"} | how)


def clip(root, stem):
    return root / "CSED" / FOLDER / f"{stem}.wav"


def diagnosis(root, corpus="csed", locations=None, **options):
    source = CorpusSource.of(root, locations=locations)
    return next(
        check for check in doctor.diagnose(source, Progress(), **options) if check.corpus == corpus
    )


def facts(findings):
    return [(finding.kind, finding.where, finding.detail) for finding in findings]


WHERE = f"{FOLDER}/{VICTIM}.wav"
