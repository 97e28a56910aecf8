"""An interval, and what it rests on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """An interval by what nobody knows: how many latent speakers there are or, where none is
    latent, how alike the clips of one speaker are."""

    assumed: dict[str, str]
    """By `stated`, `few` and `many`, in words."""
    spans: dict[str, tuple[float, float]]
    """Low and high."""

    def __str__(self) -> str:
        spans = [
            f"{self.assumed[number]} gives {low:.3f} to {high:.3f}"
            for number, (low, high) in self.spans.items()
            if number != "stated"
        ]
        return f"stated: {self.assumed['stated']}; {', '.join(spans)}"


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    value: float | None
    """null: undefined."""
    low: float | None
    """null: not estimable, like `high` and `standard_error`."""
    high: float | None
    """Upper end."""
    standard_error: float | None
    """Over speakers, and over seeds where there are several."""
    clusters: str
    """`speaker`; `latent`: no speaker is known; `mixed`: some are."""
    n_clusters: int
    """Speakers, known or stated."""
    reason: str | None
    """Why there is no interval, or what it rests on."""
    band: Band | None = None
    """How it would be with few and with many latent speakers."""

    @property
    def explanation(self) -> str | None:
        """Reason and band."""
        return f"{self.reason} ({self.band})" if self.band else self.reason
