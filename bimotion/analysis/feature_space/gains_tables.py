"""Gains of a run (gains.py) as tables of text."""

from bimotion.analysis.feature_space import record
from bimotion.analysis.feature_space.gains import FACTS, Gains, Related, Row
from bimotion.io.tables import Table, percent, points, ratio
from bimotion.protocol.published import SYNTHETIC


def tables_of(found: Gains) -> list[Table]:
    """Settings with their gains, and the correlations."""
    return [_settings(found), _correlations(found.correlations)]


def _settings(found: Gains) -> Table:
    title = found.model if found.adapt is None else f"{found.model} + {found.adapt.name}"
    measured = ("coverage", "if alike")
    table = Table(
        f"{title}: gain over in-group training, weighted F1 in points, and coverage",
        ["method", "train", "test", "score", "gain", *measured, "by any", *measured, "phonology"],
        [_setting(row) for row in found.rows],
    )
    if found.adapt is not None:
        table.notes.append(
            f"Scores: {found.adapt.summary}. Coverage: of the features before adaptation."
        )
    table.notes.append(record.legend(found.k))
    if found.synthetic:
        table.notes.append(SYNTHETIC)
    return table


def _setting(row: Row) -> list[str]:
    one = row.coverage
    cells = [
        f"{row.transfer}, {row.method}",
        "+".join(row.train),
        row.test,
        percent(row.value),
        points(row.gain),
        *map(ratio, (one.coverage, one.expected)),
        str(one.n_drawn or "-"),
        *map(ratio, (one.drawn_coverage, one.drawn_expected, row.facts["phonology"])),
    ]
    # a dash as in the tables of coverage
    return ["–" if cell == "-" else cell for cell in cells]


def _correlations(correlations: list[Related]) -> Table:
    related = Table(
        "Spearman's rank correlation with the gain",
        ["fact", "settings", "n", "test cells", "rho", "by chance, 95 %", "p"],
    )
    for one in correlations:
        rho = one.correlation
        known = ["–", rho.reason, "–"]
        if rho.rho is not None:
            known = [f"{rho.rho:+.2f}", f"{rho.low:+.2f} to {rho.high:+.2f}", f"{rho.p:.4f}"]
        related.rows.append([FACTS[one.fact], one.method, str(rho.n), str(rho.n_cells), *known])
    related.notes += [
        "Few settings, which share test clips and training sets: a description of this run, "
        "no proof. By chance: the fact shuffled among the settings of a test cell. p is not "
        "corrected for the number of rows, and with few settings a cell it cannot be small: "
        "there are few ways to shuffle them.",
        "Distances: of cross-lingual settings, share of features that differ "
        "(languages.tsv), where they differ among settings; closer languages gain more where "
        "rho is negative.",
    ]
    return related
