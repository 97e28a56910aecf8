"""A user's own encoder: any object with `encode(waveforms, sample_rate_hz)`."""

import hashlib
from collections.abc import Sequence

import numpy as np

from bimotion.errors import ClipError, ModelError
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.io.bounds import whole_number
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.failures import first_sentence
from bimotion.models.invariance import largest_difference

CLIPS_TOGETHER, MAX_TOGETHER = 8, 4096


class OwnEncoder:
    """An object as an encoder (models/encoder.py), with the same attributes.

    encode(waveforms, sample_rate_hz): list of mono float32 arrays, and 16000 -> one row a clip,
    shape (n_clips, dim) or (n_clips, n_layers, dim), an array or a tensor. The object's `name`
    (else its class) goes into the record. Features are kept on disk by its `fingerprint` if it has
    one, else by what it makes of five clips of noise: an encoder that differs only on other clips
    needs a fingerprint of its own. `encode` is given as many clips of like length at once as the
    object's `clips_together` says (else 8), always the same ones together: a neighbour may move a
    clip's last digits.

    Raises ModelError for an object that fails or gives anything else, SettingError for
    `clips_together` out of bounds.

    >>> class Energy:
    ...     def encode(self, waveforms, sample_rate_hz):
    ...         return np.array([[np.square(waveform).mean()] for waveform in waveforms])
    >>> encoder = OwnEncoder(Energy())
    >>> encoder.name, encoder.n_layers, encoder.encode([np.ones(16_000, np.float32)]).tolist()
    ('Energy', 1, [[[1.0]]])
    """

    version, revision, trusted_remote_code = NUMBERS_VERSION, None, True
    device = weights_format = "its own"
    window = "model"

    def __init__(self, encoder: object):
        if not callable(getattr(encoder, "encode", None)):
            raise ModelError(
                "model: expected a name, a folder, or an object with "
                f"encode(waveforms, sample_rate_hz), found {type(encoder).__name__}"
            )
        self.encoder = encoder
        self.name = str(getattr(encoder, "name", None) or type(encoder).__name__)
        parameters = getattr(encoder, "parameters", None)
        has_parameters = callable(parameters)
        self.n_parameters = sum(p.numel() for p in parameters()) if has_parameters else None
        together = getattr(encoder, "clips_together", CLIPS_TOGETHER)
        self.together = whole_number("clips_together", together, 1, MAX_TOGETHER)
        generator = np.random.default_rng(0)
        noise = [
            0.1 * generator.standard_normal(round(s * SAMPLE_RATE_HZ)).astype(np.float32)
            for s in (0.5, 1, 2, 4, 12)
        ]
        self.dim = self.n_layers = None
        features = self.encode(noise)
        self.n_layers, self.dim = features.shape[1:]
        by_noise = hashlib.sha256(np.ascontiguousarray(features)).hexdigest()
        known_by = getattr(encoder, "fingerprint", None) or by_noise
        content = f"{NUMBERS_VERSION} {self.name} {known_by} {self.together}".encode()
        self.fingerprint = hashlib.sha256(content).hexdigest()[:32]

    @property
    def n_features(self) -> int:
        """Numbers of each layer."""
        return self.dim

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Float32, shape (n_clips, n_layers, dim)."""
        where = f"{self.name}.encode"
        try:
            rows = self.encoder.encode(list(waveforms), SAMPLE_RATE_HZ)
            if hasattr(rows, "detach"):  # a tensor, of whatever precision: NumPy knows no bfloat16
                rows = rows.detach().to("cpu").float()
            rows = np.asarray(rows, dtype=np.float32)
        except Exception as error:  # whatever a user's code raises is about that code
            reason = f"it raised {type(error).__name__}: {first_sentence(error)}"
            raise ModelError(f"{where}: expected features, {reason}") from error
        if rows.ndim == 2:
            rows = rows[:, None]
        known = zip((len(waveforms), self.n_layers, self.dim), rows.shape, strict=False)
        if rows.ndim != 3 or any(n not in (None, size) for n, size in known):
            text = f"{len(waveforms)} finite rows of one size, found shape {rows.shape}"
            raise ModelError(f"{where}: expected {text}")
        sound = np.isfinite(rows).all(axis=(1, 2))
        if not sound.all():
            reason = "expected finite features, found NaN or infinity"
            raise ClipError(where, int(np.argmin(sound)), reason)
        return rows

    def largest_difference(self, waveforms: Sequence[np.ndarray]) -> float:
        """Largest absolute difference between the features of clips encoded together and each of
        them alone."""
        together = self.encode(waveforms)
        return largest_difference(self.name, together, lambda i: self.encode([waveforms[i]]))
