"""The leakage premium: a table of `bimotion compare` and of reports."""

from bimotion.analysis.runs import METRIC, IntervalNotes, Run
from bimotion.io.tables import Table, p_value, percent, points
from bimotion.protocol.settings import LEAKS, Setting
from bimotion.results.statistics.paired import compare


def leakage_table(run: Run) -> Table | None:
    """The points that weighted F1 gains where training knows speakers, or texts, of the test: on
    the same test clips, from as many clips of each class. None for other protocols."""
    by_leak = {leak: {} for leak in LEAKS}
    for setting in run.settings:
        if setting.leak:
            by_leak[setting.leak][str(setting.test), setting.corpora] = setting
    baseline = by_leak.pop("none")
    table = Table(
        f"Leakage premium: {run.name}, weighted F1, points",
        [
            "corpus",
            "cell",
            "training knows",
            "without",
            "with",
            "premium",
            "95 % interval",
            "p (Holm)",
        ],
    )
    notes = IntervalNotes()
    for leak, leaking in by_leak.items():
        pairs = [(setting, baseline[key]) for key, setting in leaking.items() if key in baseline]
        table.rows += _premiums(run, leak, pairs, notes)
    table.notes = [
        "the same test clips; as many training clips, as many of each class, some of them of the "
        "tested speakers (other texts) or, by other speakers, of the tested texts (TESS, one "
        "speaker a cell: by that speaker)",
        *notes.notes,
    ]
    return table if table.rows else None


def _premiums(
    run: Run, leak: str, pairs: list[tuple[Setting, Setting]], notes: IntervalNotes
) -> list[list[str]]:
    """A row a pair of settings, with one leak and with none."""
    if not pairs:
        return []
    renamed = {leaking.training_set: base.training_set for leaking, base in pairs}
    leaky = run.predictions[run.predictions["train"].isin(renamed)]
    leaky = leaky.assign(train=leaky["train"].map(renamed))
    compared = compare(leaky, run.predictions, [base for _, base in pairs], run.schema)
    rows = []
    for (leaking, base), row in zip(pairs, compared, strict=True):
        scores = [
            percent(run.result.headline(*setting.id[:2], setting.id.test, METRIC, setting.id.train))
            for setting in (base, leaking)
        ]
        difference, p = row.difference, p_value(row.p_holm)
        premium = [points(difference.value), notes.of(difference), p]
        rows.append([base.corpora[0], str(base.test), f"{leak}s", *scores, *premium])
    return rows
