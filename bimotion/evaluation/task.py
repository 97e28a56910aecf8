"""The question of a run, whatever the model and wherever the corpora lie."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bimotion.data import rules
from bimotion.errors import SettingError, known_name
from bimotion.evaluation.presets import BENCHMARK
from bimotion.io.bounds import MAX_COUNT, MAX_SEED, one_or_more, whole_number
from bimotion.protocol.cells import Cell

MAX_SEEDS = 1000


@dataclass(frozen=True)
class TaskSpec:
    """The settings, the clips and the seeds of a run."""

    protocol: str = "all"
    cells: tuple[str, ...] | None = None
    """Only the protocol's settings that test in these; None: all."""
    split_rule: str = BENCHMARK.split_rule
    """How clips are assigned to parts."""
    split_seed: int = 0
    schema: str = BENCHMARK.schema
    """Name of the label schema."""
    seeds: tuple[int, ...] = (0,)
    """Of whatever is random, ascending; one training each."""
    limit: int | None = None
    """At most so many clips of each corpus, cell and part, or fold."""
    folds: int | None = None
    """How many folds are run, from the first; None: all that the split rule has."""

    @classmethod
    def of(
        cls, *, cells: Iterable[str] | None = None, seeds: Iterable[int] = (0,), **fields: object
    ) -> "TaskSpec":
        """The task of the keywords of `bimotion.evaluate`. Raises SettingError for seeds that are
        none, twice the same, or too many, and for folds that the split rule lacks; UnknownName.

        >>> TaskSpec.of(cells="zho_eld", seeds=[2, 1], schema="valence").seeds
        (1, 2)
        """
        given = [whole_number("seeds", seed, 0, MAX_SEED) for seed in one_or_more(seeds)]
        whole_number("number of seeds", len(given), 1, MAX_SEEDS)
        if again := [seed for seed, n in Counter(given).items() if n > 1]:
            raise SettingError(f"seeds: expected each once, found {again[0]} again")
        if cells is not None:
            cells = tuple(sorted(str(Cell.parse(cell)) for cell in one_or_more(cells)))
        task = cls(cells=cells, seeds=tuple(sorted(given)), **fields)
        task.n_folds  # noqa: B018 - raises
        return task

    @property
    def n_folds(self) -> int:
        """The number of folds that are run. Raises SettingError for more than the split rule has,
        and for any number where there is no cross-validation."""
        available = rules.n_folds(known_name("split rule", self.split_rule, rules.RULES))
        if self.folds is None:
            return available
        if available == 1:
            raise SettingError(
                f"folds: expected with split rule folds only, found {self.folds} with split rule "
                f"{self.split_rule}"
            )
        return whole_number("folds", self.folds, 1, available)

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
