"""Results as the Hub keeps them, read by its own client, with the fields that its documentation
lists (https://huggingface.co/docs/hub/eval-results)."""

import dataclasses
import datetime
import re

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from bimotion.data.huggingface import builder
from bimotion.errors import SettingError
from bimotion.leaderboard import hub_results
from tests.support.boards_of_few import CELLS, of, values

DATASET = "org/bimotion"
DOCUMENTED = {"dataset", "value", "verifyToken", "date", "source", "evaluation_framework", "notes"}
DOCUMENTED_OF = {"dataset": {"id", "task_id", "revision"}, "source": {"url", "name", "user"}}


def test_the_hub_reads_one_scalar_a_task(built):
    entry, source = (
        of(built, "lab/dirty"),
        {"revision": "a" * 40, "source": "https://board.example"},
    )
    text = hub_results.eval_results(entry, DATASET, **source)
    results = parse_eval_result_entries(yaml.safe_load(text))
    tasks = [f"emotion_disjoint_probe_{name}" for name in ("mean", *CELLS)]
    assert [result.task_id for result in results] == tasks
    assert [result.value for result in results] == pytest.approx(values(entry), abs=0.006)
    for result in results:
        assert (result.dataset_id, result.date) == (DATASET, entry.finished)
        assert (result.dataset_revision, result.source_url) == tuple(source.values())
    notes = results[2].notes
    expected = "before; recomputed; receipt not signed; organisation unproved; run"
    assert f"trained on esd, iemocap {expected}" in notes
    pattern = r"95% interval [\d.]+ to [\d.]+; \d+ clips, \d+ known speakers; recomputed"
    assert re.match(pattern, results[1].notes)


def test_only_documented_fields_are_written(built):
    more = {"revision": "a" * 40, "source": "https://board.example"}
    for model in ("lab/dirty", "org/tiny"):
        for options in ({}, more):
            text = hub_results.eval_results(of(built, model), DATASET, **options)
            for result in yaml.safe_load(text):
                assert {"dataset", "value"} <= set(result) <= DOCUMENTED
                assert isinstance(result["value"], float)
                assert datetime.datetime.fromisoformat(result["date"])
                for name, fields in DOCUMENTED_OF.items():
                    assert set(result.get(name, ())) <= fields


def test_a_date_that_is_none_is_left_to_the_hub(built):
    entry = dataclasses.replace(of(built, "org/tiny"), finished="= yesterday")
    for result in yaml.safe_load(hub_results.eval_results(entry, DATASET)):
        assert "date" not in result


def test_every_task_of_a_result_stands_in_the_benchmarks_file(built):
    content = yaml.safe_load(hub_results.eval_tasks())
    assert set(content) == {"name", "description", "evaluation_framework", "tasks"}
    tasks = {task["id"]: task for task in content["tasks"]}
    assert len(tasks) == len(content["tasks"]) == 3 * 3 * 3 * 5
    for name in ("lab/dirty", "org/tiny"):
        results = yaml.safe_load(hub_results.eval_results(of(built, name), DATASET))
        assert {result.task_id for result in parse_eval_result_entries(results)} <= set(tasks)
    assert {task["split"] for task in tasks.values()} == {"test"}
    assert {task["config"] for task in tasks.values()} <= set(builder.CONFIGS["bimotion"])


def test_a_model_card_takes_the_index(built, tmp_path):
    entry = of(built, "org/tiny")
    index = hub_results.model_index(entry, DATASET)
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
    for make in (hub_results.eval_results, hub_results.model_index):
        with pytest.raises(SettingError, match="expected a model of the Hub, organisation/name"):
            make(entry, DATASET)


def test_what_was_not_run_is_not_told(built):
    entry = of(built, "org/tiny")
    part = [row for row in entry.scores if row.test == "eng_adu"]
    lacking = dataclasses.replace(entry, headline={}, scores=part)
    (result,) = yaml.safe_load(hub_results.eval_results(lacking, DATASET))
    assert result["dataset"]["task_id"] == "emotion_disjoint_probe_eng_adu"
