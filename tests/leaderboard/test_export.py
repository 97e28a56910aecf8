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

CELLS = ("eng_eld", "eng_adu", "zho_eld", "zho_adu")
HOSTILE = r"=cmd|' /C calc'!A0 <b>&[x](javascript:1)`_*\{}~^%$#"
DATASET = "org/bimotion"


def of(built, model):
    return next(entry for entry in built.entries if entry.model == model)


def values(entry):
    """Mean and cells in %, from the entry's own rows."""
    cells = {row.test: row.value for row in entry.scores if row.transfer == "in-group"}
    means = [entry.headline["in-group/inference"].value, *(cells[cell] for cell in CELLS)]
    return [100 * value for value in means]


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
    text = " ".join(export.eval_results(copied, DATASET).split())
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
    assert "<b>" not in line
    assert r"\[x\]" in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 14
    (row,) = [line for line in export.export(hostile, "latex").splitlines() if "cmd" in line]
    assert len(re.findall(r"(?<!\\)&", row)) == 12
    assert not re.search(r"(?<!\\)[%$#]", row)
    assert r"\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}\%\$\#" in row
    first = next(csv.DictReader(io.StringIO(export.export(hostile, "csv"))))
    assert first["model"] == f"'{HOSTILE}"  # no spreadsheet takes it for a formula


def test_an_unknown_format_is_refused_and_a_board_of_nothing_is_exported(built, tmp_path):
    with pytest.raises(UnknownName, match="'html': expected one of markdown, latex, csv"):
        export.export(built, "html")
    empty = board.build(tmp_path)
    assert [export.export(empty, form).count("as printed") for form in export.FORMATS] == [1, 1, 1]


# --- the Hub ------------------------------------------------------------------------------------


def test_the_hub_reads_one_scalar_a_task(built):
    entry, source = (
        of(built, "lab/dirty"),
        {"revision": "a" * 40, "source": "https://board.example"},
    )
    text = export.eval_results(entry, DATASET, **source)
    results = parse_eval_result_entries(yaml.safe_load(text))
    tasks = [f"emotion_disjoint_probe_{name}" for name in ("mean", *CELLS)]
    assert [result.task_id for result in results] == tasks
    assert [result.value for result in results] == pytest.approx(values(entry), abs=0.006)
    for result in results:
        assert (result.dataset_id, result.date) == (DATASET, entry.finished)
        assert (result.dataset_revision, result.source_url) == tuple(source.values())
    assert (
        "trained on esd, iemocap before; recomputed; organisation unproved; run" in results[2].notes
    )
    pattern = r"95% interval [\d.]+ to [\d.]+; \d+ clips, \d+ known speakers; recomputed"
    assert re.match(pattern, results[1].notes)


def test_every_task_of_a_result_stands_in_the_benchmarks_file(built):
    content = yaml.safe_load(export.eval_tasks())
    assert set(content) == {"name", "description", "evaluation_framework", "tasks"}
    tasks = {task["id"]: task for task in content["tasks"]}
    assert len(tasks) == len(content["tasks"]) == 3 * 3 * 3 * 5
    for name in ("lab/dirty", "org/tiny"):
        results = yaml.safe_load(export.eval_results(of(built, name), DATASET))
        assert {result.task_id for result in parse_eval_result_entries(results)} <= set(tasks)
    assert {task["split"] for task in tasks.values()} == {"test"}
    assert {task["config"] for task in tasks.values()} <= set(builder.CONFIGS["bimotion"])


def test_a_model_card_takes_the_index(built, tmp_path):
    entry = of(built, "org/tiny")
    index = export.model_index(entry, DATASET)
    (tmp_path / "README.md").write_text(f"---\n{index}---\n# A card\n")
    card = ModelCard.load(tmp_path / "README.md").data
    assert card.model_name == "org/tiny"
    metrics = [result.metric_value for result in card.eval_results]
    assert metrics == pytest.approx(values(entry), abs=0.006)
    assert [result.dataset_config for result in card.eval_results] == ["all", *CELLS]
    name, again = model_index_to_eval_results(yaml.safe_load(index)["model-index"])
    assert (name, len(again)) == ("org/tiny", 5)


@pytest.mark.parametrize("model", ["bimotion/random", "local-folder", "a/b/c", "a/b c"])
def test_only_a_model_of_the_hub_has_results_there(model, built):
    is_baseline = model == "bimotion/random"
    entry = dataclasses.replace(of(built, model if is_baseline else "org/tiny"), model=model)
    for make in (export.eval_results, export.model_index):
        with pytest.raises(SettingError, match="expected a model of the Hub, organisation/name"):
            make(entry, DATASET)


def test_what_was_not_run_is_not_told(built):
    entry = of(built, "org/tiny")
    part = [row for row in entry.scores if row.test == "eng_adu"]
    lacking = dataclasses.replace(entry, headline={}, scores=part)
    (result,) = yaml.safe_load(export.eval_results(lacking, DATASET))
    assert result["dataset"]["task_id"] == "emotion_disjoint_probe_eng_adu"
