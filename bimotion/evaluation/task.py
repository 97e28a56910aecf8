"""The question of a run, whatever the model and wherever the corpora lie."""

from collections.abc import Iterable
from dataclasses import dataclass

from bimotion.errors import SettingError
from bimotion.io.bounds import MAX_COUNT, MAX_SEED, one_or_more, whole_number

MAX_SEEDS = 1000


@dataclass(frozen=True)
class TaskSpec:
    """The settings, the clips and the seeds of a run."""

    protocol: str = "all"
    cells: tuple[str, ...] | None = None
    """Only the protocol's settings that test in these; None: all."""
    split_rule: str = "paper"
    """How clips are assigned to parts."""
    split_seed: int = 0
    schema: str = "emotion"
    """Name of the label schema."""
    seeds: tuple[int, ...] = (0,)
    """Of the head or the training, ascending; one training each."""
    limit: int | None = None
    """At most so many clips of each corpus, cell and part."""

    @classmethod
    def of(
        cls, *, cells: Iterable[str] | None = None, seeds: Iterable[int] = (0,), **fields: object
    ) -> "TaskSpec":
        """The task of the keywords of `bimotion.evaluate`. Raises SettingError for seeds that are
        none, or too many.

        >>> TaskSpec.of(cells="zho_eld", seeds=[2, 1], schema="valence").seeds
        (1, 2)
        """
        seeds = sorted({whole_number("seeds", seed, 0, MAX_SEED) for seed in one_or_more(seeds)})
        whole_number("number of seeds", len(seeds), 1, MAX_SEEDS)
        cells = None if cells is None else tuple(sorted(one_or_more(cells)))
        return cls(cells=cells, seeds=tuple(seeds), **fields)

    def require_limit(self) -> None:
        """Raise SettingError unless the limit is a whole number, or none."""
        if self.limit is not None:
            whole_number("limit", self.limit, 1, MAX_COUNT)

    def require_one_seed(self, subject: str) -> None:
        """Raise SettingError where what has nothing random is asked for several seeds."""
        if len(self.seeds) > 1:
            raise SettingError(
                f"{subject}: expected one seed, for nothing is random, found {len(self.seeds)}"
            )
