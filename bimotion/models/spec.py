"""A model, and the way to run it."""

from dataclasses import dataclass, replace
from pathlib import Path

from bimotion.errors import SettingError
from bimotion.io.bounds import flag, real_number

MAX_BATCH_S = 86_400.0
MAX_WINDOW_S = 600.0  # of any model: no configuration may ask for more (config_bounds.py)


@dataclass(frozen=True)
class ModelSpec:
    """A model, and the way to run it.

    >>> ModelSpec("microsoft/wavlm-large", revision="main").trust_remote_code
    False
    """

    model: str | object
    """A local folder or an id on the Hugging Face Hub, a baseline `bimotion/...`, or a user's own
    object with `encode` (models/own.py)."""
    revision: str | None = None
    """On the Hub: branch, tag or commit."""
    trust_remote_code: bool = False
    """Let code of the model's own run."""
    device: str | None = None
    """None: cuda if there is one, else cpu."""
    batch_seconds: float | None = None
    """Audio in one batch, padding included; None: 80 on a CPU, 800 on a GPU."""
    require_safetensors: bool = False
    """Refuse pickled weights, which are otherwise read by torch's `weights_only` loader."""
    window: str | float = "model"
    """What a model with a window of its own hears (models/windows.py): `model`: all of it, whatever
    the clip; `clip`: the clip and a second of silence, rounded up; seconds: at least so many."""

    def __post_init__(self):
        object.__setattr__(self, "window", window_named(self.window))
        flag("trust_remote_code", self.trust_remote_code)
        flag("require_safetensors", self.require_safetensors)
        if self.batch_seconds is not None:
            real_number("batch_seconds", self.batch_seconds, 0, MAX_BATCH_S, above=True)

    @property
    def is_own(self) -> bool:
        """True for an object of the user's."""
        return not isinstance(self.model, str)

    @property
    def is_baseline(self) -> bool:
        """True for one of the baselines of this package."""
        return isinstance(self.model, str) and self.model.startswith("bimotion/")

    @property
    def name(self) -> str:
        """Hub id or folder name: where a folder lies is nobody's business."""
        if self.is_own:
            return type(self.model).__name__
        folder = Path(self.model).expanduser()
        return folder.resolve().name if folder.is_dir() else self.model

    def from_anywhere(self) -> "ModelSpec":
        """The same, understood in every working folder."""
        if not self.is_own and (folder := Path(self.model).expanduser()).is_dir():
            return replace(self, model=str(folder.resolve()))
        return self


def window_named(value: object) -> str | float:
    """A window that can be asked for, from Python or as text; raises SettingError.

    >>> window_named("clip"), window_named("8"), window_named(5)
    ('clip', 8.0, 5.0)
    """
    if value in ("model", "clip"):
        return value
    try:
        seconds = float(value) if isinstance(value, str) else value
        return float(real_number("window", seconds, 0, MAX_WINDOW_S, above=True))
    except (ValueError, SettingError):
        raise SettingError(
            f"window: expected model, clip, or seconds above 0 and up to {MAX_WINDOW_S:g}, found "
            f"{value!r:.80}"
        ) from None
