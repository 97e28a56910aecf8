"""Exports: tables that hold the board's numbers whatever models are called."""

import csv
import dataclasses
import io
import re

import pytest

from bimotion.errors import UnknownName
from bimotion.leaderboard import board, export, hub_results
from tests.support.boards_of_few import CELLS, HOSTILE, of, values


def replaced(built, *entries, **changes):
    """The board with other entries."""
    return dataclasses.replace(built, entries=list(entries), **changes)


def test_markdown_holds_every_entry_and_the_published_row(built):
    lines = [line for line in export.export(built, "markdown").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert len(rows) == len(built.entries) + 1
    assert len({line.count("|") for line in lines}) == 1
    for row, entry in zip(rows, built.entries, strict=False):
        assert row[1] == entry.model
        numbers = [float(cell.split(" ")[0]) for cell in (row[6], *row[8:12])]
        assert numbers == pytest.approx(values(entry), abs=0.006)
    ranking, other = built.entries[0].ranking, built.entries[6].recomputed_ranking
    ranks = [f"1 ({ranking.low}-{ranking.high})", "-", f"(3, {other.low}-{other.high})"]
    assert [rows[number][0] for number in (0, 5, 6)] == ranks
    assert rows[-1][1:3] == ["XLSR-53 (the paper)", "finetune"]
    assert rows[-1][8:] == ["55.12", "70.28", "57.00", "97.00", "as printed"]
    flags = {row[1]: row[-1] for row in rows}
    assert "contaminated" in flags["lab/dirty"]
    undeclared = [
        name for name in ("lab/dirty", "lab/base", "org/tiny") if "not dec" in flags[name]
    ]
    assert undeclared == ["org/tiny"]


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_a_mean_says_which_cells_it_is_over_where_one_is_missing(built, form):
    entry = of(built, "org/tiny")
    scores = [row for row in entry.scores if row.test != "zho_eld"]
    partly = dataclasses.replace(entry, scores=scores)
    shown = export.export(replaced(built, entry, partly, references=[]), form)
    rows = [line for line in shown.splitlines() if "org/tiny" in line]
    over = ["(over eng_eld, eng_adu, zho_adu)" in row.replace("\\", "") for row in rows]
    assert over == [False, True], rows


def test_a_copy_names_the_other_in_tables_and_notes(built):
    entry = of(built, "org/tiny")
    flags = dataclasses.replace(entry.flags, same_predictions=["lab/thief"])
    copied, note = dataclasses.replace(entry, flags=flags), "same predictions as lab/thief"
    for form in export.FORMATS:
        assert note in export.export(replaced(built, copied), form)
    text = " ".join(hub_results.eval_results(copied, "org/bimotion").split())
    assert f"; {note}; reproduced" in text


def test_a_shorter_window_than_the_models_own_is_named(built):
    entry = of(built, "org/tiny")
    shorter = dataclasses.replace(entry, options=entry.options | {"window": "clip"})
    for form in export.FORMATS:
        assert "window clip" in export.export(replaced(built, shorter), form)
        assert "window clip" not in export.export(replaced(built, entry), form)


def test_latex_holds_the_same_cells(built):
    text = export.export(built, "latex")
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    rows = [line.removesuffix(r" \\").split(" & ") for line in body]
    assert {len(row) for row in rows} == {13}
    assert len(re.search(r"begin\{tabular\}\{(\w+)\}", text)[1]) == 13
    expected = values(built.entries[2])[1:]
    numbers = [float(cell.split(" ")[0]) for cell in rows[2][8:12]]
    assert numbers == pytest.approx(expected, abs=0.006)
    (guessed,) = [row for row in rows if row[1] == "bimotion/random"]
    # a record without scores, as those of the other models, has no marks
    assert guessed[8 + CELLS.index("zho_adu")].endswith(r" \textsuperscript{a}\textsuperscript{k}")
    assert r"% \textsuperscript{a} the age of every speaker is assumed" in text
    assert rows[2][1] == built.entries[2].model


def test_csv_is_read_back_with_intervals(built):
    rows = list(csv.DictReader(io.StringIO(export.export(built, "csv"))))
    assert len(rows) == len(built.entries) + 1
    for row, entry in zip(rows, built.entries, strict=False):
        assert row["key"] == entry.key
        shown = [float(row[f"{cell}_value"]) for cell in ("mean", *CELLS)]
        assert shown == pytest.approx([value / 100 for value in values(entry)])
        ends = (entry.base.low, entry.base.high)
        assert (float(row["mean_low"]), float(row["mean_high"])) == ends
        assert row["rank"] == (str(entry.ranking.rank) if entry.ranking else "")
        assert row["zho_adu_marks"] == ("ᵃᵏ" if entry.model == "bimotion/random" else "")
        assert row["n_parameters"] == str(entry.n_parameters or "")
    printed = [rows[-1][name] for name in ("zho_adu_value", "zho_adu_low", "flags")]
    assert printed == ["0.97", "", "as printed"]


def test_hostile_names_stay_names(built):
    hostile = replaced(built, dataclasses.replace(built.entries[0], model=HOSTILE))
    (line,) = [line for line in export.export(hostile, "markdown").splitlines() if "cmd" in line]
    assert "<b>" not in re.sub("``.*?``", "", line)  # a word as code
    marked = dataclasses.replace(built.entries[0], model="cmd <b>&[x](y)")
    text = export.export(replaced(built, marked), "markdown")
    assert r"| lab/cmd &lt;b&gt;&amp;\[x\](y) |" in text
    assert len(re.findall(r"(?<!\\)\|", line)) == 14
    (row,) = [line for line in export.export(hostile, "latex").splitlines() if "cmd" in line]
    assert len(re.findall(r"(?<!\\)&", row)) == 12
    assert not re.search(r"(?<!\\)[%$#]", row)
    assert r"\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}\%\$\#" in row
    first = next(csv.DictReader(io.StringIO(export.export(hostile, "csv"))))
    assert first["model"] == f"'{HOSTILE}"  # no spreadsheet takes it for a formula


LINKED = """@octocat @org/team org/repo#1 #1 GH-1 octocat@0123abc 0123abcd4567 https://x.example
www.x.example me@x.example mailto:x :tada: $x$ _x_ x_ `@octocat` x`#1 |@octocat"""


@pytest.mark.parametrize("word", LINKED.split())
def test_github_links_and_mentions_nothing_of_a_name(word, built):
    """A word that it would link stands as code, in any column."""
    entry = dataclasses.replace(built.entries[0], model=f"lab/{word}", not_recognised=[f"a {word}"])
    names = [f"x {word}"]
    flags = dataclasses.replace(entry.flags, same_predictions=names, not_declared=names)
    entry = dataclasses.replace(entry, flags=flags)
    keys = {"anna@lab": "SHA256:"}
    text = export.export(dataclasses.replace(replaced(built, entry), keys=keys), "markdown")
    (line,) = [line for line in text.splitlines() if line.startswith("| 1 (")][:1]
    code = r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)"
    assert word.replace("|", "\\|") in line
    assert word.strip("`|") not in re.sub(code, "", line)
    assert "Receipts signed by `anna@lab.`" in text


def test_an_unknown_format_is_refused_and_a_board_of_nothing_is_exported(built, tmp_path):
    with pytest.raises(UnknownName, match="'html': expected one of markdown, latex, csv"):
        export.export(built, "html")
    empty = board.build(tmp_path)
    assert [export.export(empty, form).count("as printed") for form in export.FORMATS] == [1, 1, 1]
