"""How often the age result is significant, by simulation: python -m benchmarks.age [SETS]

Speakers as many as CREMA-D's and YueMotion's, of like ages and genders, who differ in recall (s.d.
10 points; women 10 points above men), over a true change of recall a decade of 0 and more points.
"""

import sys

from bimotion.io.tables import Table
from tests.support.aged_speakers import (
    CREMA_D,
    YUEMOTION,
    share_of_corpus_gaps,
    share_significant,
)

SLOPES = (0.0, -0.01, -0.02, -0.03, -0.04, -0.06)


def main() -> None:
    """Print the table of docs/statistics.md."""
    n_sets = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    table = Table(
        f"p <= 0.05, % of {n_sets} simulated runs (of {n_sets // 3} where age does something)",
        ["true change a decade", "CREMA-D: slope", "matched", "YueMotion: slope", "matched"],
    )
    for slope in SLOPES:
        row = [f"{100 * slope:+.0f} points" if slope else "none"]
        for cohort in (CREMA_D, YUEMOTION):
            row += [
                f"{100 * share:.1f}"
                for share in share_significant(
                    cohort, slope, n_sets // 3 if slope else n_sets
                ).values()
            ]
        table.rows.append(row)
        print(*row, flush=True)
    share = 100 * share_of_corpus_gaps(n_sets // 10)
    table.notes.append(
        f"no change with age, corpora of different difficulty: the interval of `corpus and age` "
        f"excludes 0 in {share:.0f} % of {n_sets // 10}"
    )
    print(table.markdown())


if __name__ == "__main__":
    main()
