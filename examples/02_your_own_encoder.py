"""Evaluate an encoder of your own: anything with a method `encode`, a torch module or plain NumPy.

What comes out is a result like that of any other model: the same files, scores and intervals.
"""

import at_hand
import numpy as np

import bimotion


class LoudnessAndPitch:
    """Five numbers a clip: loudness and its spread, zero crossings, brightness, length."""

    def encode(self, waveforms, sample_rate_hz):
        """One row for each of a list of mono float32 arrays; (n_clips, n_layers, dim) works too."""
        return np.array([self.measures(wave, sample_rate_hz) for wave in waveforms])

    def measures(self, wave, sample_rate_hz):
        crossings = np.mean(wave[1:] * wave[:-1] < 0)
        power = np.abs(np.fft.rfft(wave)) ** 2
        brightness = power @ np.arange(power.size) / max(power.sum(), 1e-9) / power.size
        return [np.abs(wave).mean(), wave.std(), crossings, brightness, wave.size / sample_rate_hz]


if __name__ == "__main__":
    at_hand.corpora()
    few = {"cells": ["zho_eld"], "only": ["tess", "csed"], "allow_missing": True}
    result = bimotion.evaluate(LoudnessAndPitch(), protocol="inference", **few)
    print(bimotion.paper_tables(result))
