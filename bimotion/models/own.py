"""A user's own encoder: any object with `encode(waveforms, sample_rate_hz)`."""

import hashlib
from collections.abc import Sequence

import numpy as np

from bimotion.errors import ClipError
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.io.bounds import whole_number
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.invariance import largest_difference
from bimotion.models.weights import ModelError, line

CLIPS_TOGETHER, MAX_TOGETHER = 8, 4096


class OwnEncoder:
    """An object as an encoder (models/encoder.py), with the same attributes.

    encode(waveforms, sample_rate_hz): list of mono float32 arrays, and 16000 -> one row a clip,
    shape (n_clips, dim) or (n_clips, n_layers, dim), an array or a tensor. The object's `name`
    (else its class) goes into the record. Features are kept on disk by its `fingerprint` if it has
    one, else by what it makes of five clips of noise: an encoder that differs on other clips alone
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

    version, revision, trusted_remote_code, device, weights_format = (
        NUMBERS_VERSION,
        None,
        True,
        "its own",
        "its own",
    )

    def __init__(self, encoder: object):
        self.encoder = encoder
        self.name = str(getattr(encoder, "name", None) or type(encoder).__name__)
        parameters = getattr(encoder, "parameters", None)
        self.n_parameters = (
            sum(part.numel() for part in parameters()) if callable(parameters) else None
        )
        self.together = whole_number(
            "clips_together", getattr(encoder, "clips_together", CLIPS_TOGETHER), 1, MAX_TOGETHER
        )
        generator = np.random.default_rng(0)
        noise = [
            0.1 * generator.standard_normal(round(s * SAMPLE_RATE_HZ)).astype(np.float32)
            for s in (0.5, 1, 2, 4, 12)
        ]
        self.dim = self.n_layers = None
        found = self.encode(noise)
        self.n_layers, self.dim = found.shape[1:]
        made = hashlib.sha256(np.ascontiguousarray(found)).hexdigest()
        given = getattr(encoder, "fingerprint", None)
        self.fingerprint = hashlib.sha256(
            f"{NUMBERS_VERSION} {self.name} {given or made} {self.together}".encode()
        ).hexdigest()[:32]

    @property
    def n_features(self) -> int:
        """Numbers of each layer."""
        return self.dim

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Float32, shape (n_clips, n_layers, dim)."""
        try:
            found = self.encoder.encode(list(waveforms), SAMPLE_RATE_HZ)
            if hasattr(found, "detach"):  # a tensor, of whatever precision: NumPy knows no bfloat16
                found = found.detach().to("cpu").float()
            found = np.asarray(found, dtype=np.float32)
        except Exception as error:  # whatever a user's code raises is about that code
            raise ModelError(
                f"{self.name}.encode: expected features, it raised {type(error).__name__}: "
                f"{line(error)}"
            ) from error
        if found.ndim == 2:
            found = found[:, None]
        expected = (
            (len(waveforms), self.n_layers or found.shape[1], self.dim or found.shape[-1])
            if found.ndim == 3
            else None
        )
        if found.shape != expected:
            text = f"{len(waveforms)} finite rows of one size, found shape {found.shape}"
            raise ModelError(f"{self.name}.encode: expected {text}")
        sound = np.isfinite(found).all(axis=(1, 2))
        if not sound.all():
            raise ClipError(
                f"{self.name}.encode",
                int(np.argmin(sound)),
                "expected finite features, found NaN or infinity",
            )
        return found

    def largest_difference(self, waveforms: Sequence[np.ndarray]) -> float:
        """Largest absolute difference between the features of clips encoded together and each of
        them alone."""
        return largest_difference(
            self.name, self.encode(waveforms), lambda place: self.encode([waveforms[place]])
        )
