"""The options of commands that run jobs, on this machine or on a cluster."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from bimotion.cli.options import option


@dataclass(frozen=True)
class Workers:
    """The processes that work for the runs of a command."""

    panel: ClassVar = "Engine ray"

    engine: Annotated[
        Literal["local", "ray"],
        option("This process, or a Ray cluster: $RAY_ADDRESS or its own (extra: cluster)."),
    ] = "local"
    cpus_per_worker: Annotated[
        int | None, option("Cores, and threads, of each worker. (default: 1)", min=1)
    ] = None
    gpus_per_worker: Annotated[
        float | None, option("Such as 0.5. (default: 1 where the model runs on one, else 0)", min=0)
    ] = None
    ship_audio: Annotated[
        bool, option("Send samples to workers: the corpora are on this machine only.")
    ] = False

    def made(self):
        """The engine; raises SettingError, MissingExtra."""
        from bimotion.evaluation.engines import engine_of

        given = {
            name: value
            for name, value in vars(self).items()
            if value is not None and value is not False  # 0.0 is given, and equals False
        }
        return engine_of(given.pop("engine"), **given)
