"""Gains of a run (gains.py) as tables of text."""

from bimotion.analysis.feature_space import record
from bimotion.analysis.feature_space.gains import FACTS, Gains, Related
from bimotion.analysis.feature_space.record import number
from bimotion.io.tables import Table, p_value, percent, points
from bimotion.protocol.published import SYNTHETIC


def tables_of(gains: Gains) -> list[Table]:
    """Settings with their gains, and the correlations."""
    return [_settings(gains), _correlations(gains.correlations)]


def _settings(gains: Gains) -> Table:
    title = gains.model if gains.adapt is None else f"{gains.model} + {gains.adapt.name}"
    measured = ("coverage", "if alike")
    table = Table(
        f"{title}: gain over in-group training, weighted F1 in points, and coverage",
        ["method", "train", "test", "score", "gain", *measured, "by any", *measured, "phonology"],
    )
    for row in gains.rows:
        cells = [f"{row.transfer}, {row.method}", "+".join(row.train), row.test]
        cells += [percent(row.value), points(row.gain), *record.coverage_cells(row.coverage)]
        cells.append(number(row.facts["phonology"]))
        # a dash as in the tables of coverage
        table.rows.append(["–" if cell == "-" else cell for cell in cells])
    if gains.adapt is not None:
        before = "Coverage: of the features before adaptation."
        table.notes.append(f"Scores: {gains.adapt.summary}. {before}")
    table.notes.append(record.legend(gains.k))
    if gains.synthetic:
        table.notes.append(SYNTHETIC)
    return table


def _correlations(correlations: list[Related]) -> Table:
    table = Table(
        "Spearman's rank correlation with the gain",
        ["fact", "settings", "n", "test cells", "rho", "by chance, 95 %", "p"],
    )
    for row in correlations:
        rho = row.correlation
        known = ["–", rho.reason, "–"]
        if rho.rho is not None:
            known = [f"{rho.rho:+.2f}", f"{rho.low:+.2f} to {rho.high:+.2f}", p_value(rho.p)]
        table.rows.append([FACTS[row.fact], row.method, str(rho.n), str(rho.n_cells), *known])
    table.notes += [
        "Few settings, which share test clips and training sets: a description of this run, "
        "no proof. By chance: the fact shuffled among the settings of a test cell. p is not "
        "corrected for the number of rows, and with few settings a cell it cannot be small: "
        "there are few ways to shuffle them.",
        "Distances: of cross-lingual settings, share of features that differ "
        "(languages.tsv), where they differ among settings; closer languages gain more where "
        "rho is negative.",
    ]
    return table
