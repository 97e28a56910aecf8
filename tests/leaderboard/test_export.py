"""Exports: tables that hold the board's numbers whatever models are called, and what the Hub reads,
by its own client."""

import csv
import dataclasses
import io
import re

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from bimotion.data.huggingface import builder
from bimotion.errors import SettingError, UnknownName
from bimotion.leaderboard import board, export
from tests.support import submissions

CELLS = ("eng_eld", "eng_adu", "zho_eld", "zho_adu")
HOSTILE = r"=cmd|' /C calc'!A0 <b>&[x](javascript:1)`_*\{}~^%$#"


@pytest.fixture(scope="module")
def built(true_tree):
    return board.build(submissions.few(true_tree))


@pytest.fixture(scope="module")
def hostile(built):
    return dataclasses.replace(
        built, entries=[dataclasses.replace(built.entries[0], model=HOSTILE)]
    )


def values(entry):
    """Mean and cells in %, from the entry's own rows."""
    cells = {one.test: one.value for one in entry.scores if one.transfer == "in-group"}
    return [
        100 * entry.headline["in-group/inference"].value,
        *(100 * cells[cell] for cell in CELLS),
    ]


def test_markdown_holds_every_entry_and_the_published_row(built):
    lines = [line for line in export.export(built, "markdown").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert len(rows) == len(built.entries) + 1
    assert len({line.count("|") for line in lines}) == 1
    for row, entry in zip(rows, built.entries, strict=False):
        assert row[1] == entry.model
        assert [float(row[6]), *map(float, row[8:12])] == pytest.approx(values(entry), abs=0.006)
    assert rows[0][0] == "-"
    assert rows[1][0] == f"1 ({built.entries[1].standing.low}-{built.entries[1].standing.high})"
    assert rows[-1][1:3] + rows[-1][8:] == [
        "XLSR-53 (the paper)",
        "finetune",
        "55.12",
        "70.28",
        "57.00",
        "97.00",
        "as printed",
    ]
    marks = {row[1]: row[-1] for row in rows}
    assert "contaminated" in marks["lab/dirty"]
    assert [("not declared" in marks[name]) for name in ("lab/dirty", "lab/base", "org/tiny")] == [
        False,
        False,
        True,
    ]


def without(entry, cell: str):
    """As of a run on corpora that have no clips of a cell."""
    return dataclasses.replace(entry, scores=[one for one in entry.scores if one.test != cell])


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_a_mean_says_which_cells_it_is_over_where_one_is_missing(built, form):
    entry = of(built, "org/tiny")
    both = [entry, without(entry, "zho_eld")]
    shown = export.export(dataclasses.replace(built, entries=both, references=[]), form)
    rows = [line for line in shown.splitlines() if "org/tiny" in line]
    over = ["(over eng_eld, eng_adu, zho_adu)" in row.replace("\\", "") for row in rows]
    assert over == [False, True], rows


def test_a_copy_names_the_other_in_tables_and_notes(built):
    entry = of(built, "org/tiny")
    copied = dataclasses.replace(
        entry, marks=dataclasses.replace(entry.marks, same_predictions=["lab/thief"])
    )
    for form in export.FORMATS:
        assert "same predictions as lab/thief" in export.export(
            dataclasses.replace(built, entries=[copied]), form
        )
    assert "; same predictions as lab/thief; verified" in export.eval_results(
        copied, "org/bimotion"
    ).replace("\n", " ").replace("  ", " ")


def test_latex_holds_the_same_cells(built):
    text = export.export(built, "latex")
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    rows = [line.removesuffix(r" \\").split(" & ") for line in body]
    assert {len(row) for row in rows} == {13}
    assert len(re.search(r"begin\{tabular\}\{(\w+)\}", text)[1]) == 13
    assert [float(cell) for cell in rows[2][8:12]] == pytest.approx(
        values(built.entries[2])[1:], abs=0.006
    )
    assert rows[2][1] == built.entries[2].model


def test_csv_is_read_back_with_intervals(built):
    rows = list(csv.DictReader(io.StringIO(export.export(built, "csv"))))
    assert len(rows) == len(built.entries) + 1
    for row, entry in zip(rows, built.entries, strict=False):
        assert row["key"] == entry.key
        assert [float(row[f"{cell}_value"]) for cell in ("mean", *CELLS)] == pytest.approx(
            [v / 100 for v in values(entry)]
        )
        assert (float(row["mean_low"]), float(row["mean_high"])) == (
            entry.base.low,
            entry.base.high,
        )
        assert row["rank"] == (str(entry.standing.rank) if entry.standing else "")
    assert (rows[-1]["zho_adu_value"], rows[-1]["zho_adu_low"], rows[-1]["marks"]) == (
        "0.97",
        "",
        "as printed",
    )


def test_hostile_names_stay_names(hostile):
    (line,) = [line for line in export.export(hostile, "markdown").splitlines() if "cmd" in line]
    assert "<b>" not in line
    assert r"\[x\]" in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 14
    (row,) = [line for line in export.export(hostile, "latex").splitlines() if "cmd" in line]
    assert len(re.findall(r"(?<!\\)&", row)) == 12
    assert not re.search(r"(?<!\\)[%$#]", row)
    assert r"\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}\%\$\#" in row
    first = next(csv.DictReader(io.StringIO(export.export(hostile, "csv"))))
    assert first["model"] == f"'{HOSTILE}"  # no spreadsheet takes it for a formula


def test_an_unknown_format_is_refused(built):
    with pytest.raises(
        UnknownName, match="unknown format 'html': expected one of markdown, latex, csv"
    ):
        export.export(built, "html")


def test_a_board_of_nothing_is_a_header_and_the_published_row(tmp_path):
    empty = board.build(tmp_path)
    assert [export.export(empty, form).count("as printed") for form in export.FORMATS] == [1, 1, 1]


# --- the Hub ------------------------------------------------------------------------------------


def of(built, model):
    return next(entry for entry in built.entries if entry.model == model)


def test_the_hub_reads_one_scalar_a_task(built):
    entry = of(built, "lab/dirty")
    text = export.eval_results(
        entry, "org/bimotion", revision="a" * 40, source="https://board.example"
    )
    found = parse_eval_result_entries(yaml.safe_load(text))
    assert [one.task_id for one in found] == [
        f"emotion_disjoint_probe_{name}" for name in ("mean", *CELLS)
    ]
    assert [one.value for one in found] == pytest.approx(values(entry), abs=0.006)
    assert {(one.dataset_id, one.dataset_revision, one.source_url) for one in found} == {
        ("org/bimotion", "a" * 40, "https://board.example")
    }
    assert {one.date for one in found} == {entry.finished}
    assert "trained on esd, iemocap before; verified; run" in found[2].notes
    assert re.match(
        r"95% interval [\d.]+ to [\d.]+; \d+ clips, \d+ known speakers; verified", found[1].notes
    )


def test_every_task_of_a_result_stands_in_the_benchmarks_file(built):
    content = yaml.safe_load(export.eval_tasks())
    assert set(content) == {"name", "description", "evaluation_framework", "tasks"}
    tasks = {one["id"]: one for one in content["tasks"]}
    assert len(tasks) == len(content["tasks"]) == 3 * 2 * 3 * 5
    for name in ("lab/dirty", "org/tiny"):
        for one in parse_eval_result_entries(
            yaml.safe_load(export.eval_results(of(built, name), "org/bimotion"))
        ):
            assert one.task_id in tasks
    assert {one["split"] for one in tasks.values()} == {"test"}
    assert {one["config"] for one in tasks.values()} <= set(builder.CONFIGS["bimotion"])


def test_a_model_card_takes_the_index(built, tmp_path):
    entry = of(built, "org/tiny")
    (tmp_path / "README.md").write_text(
        f"---\n{export.model_index(entry, 'org/bimotion')}---\n# A card\n"
    )
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.model_name == "org/tiny"
    assert [one.metric_value for one in card.data.eval_results] == pytest.approx(
        values(entry), abs=0.006
    )
    assert [one.dataset_config for one in card.data.eval_results] == ["all", *CELLS]
    name, again = model_index_to_eval_results(
        yaml.safe_load(export.model_index(entry, "org/bimotion"))["model-index"]
    )
    assert (name, len(again)) == ("org/tiny", 5)


@pytest.mark.parametrize("model", ["bimotion/random", "local-folder", "a/b/c", "a/b c"])
def test_only_a_model_of_the_hub_has_results_there(model, built):
    entry = (
        of(built, model)
        if model == "bimotion/random"
        else dataclasses.replace(of(built, "org/tiny"), model=model)
    )
    for make in (export.eval_results, export.model_index):
        with pytest.raises(SettingError, match="expected a model of the Hub, organisation/name"):
            make(entry, "org/bimotion")


def test_what_was_not_run_is_not_told(built):
    entry = of(built, "org/tiny")
    part = [one for one in entry.scores if one.test == "eng_adu"]
    lacking = dataclasses.replace(entry, headline={}, scores=part)
    found = yaml.safe_load(export.eval_results(lacking, "org/bimotion"))
    assert [one["dataset"]["task_id"] for one in found] == ["emotion_disjoint_probe_eng_adu"]
