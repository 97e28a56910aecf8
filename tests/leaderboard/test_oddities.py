"""Marks of what looks odd: cheats have them, honest runs do not; nothing follows from them."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from bimotion.evaluation import run as runner
from bimotion.io.records import from_json
from bimotion.leaderboard import board, export, hub_results, oddities, scored
from bimotion.leaderboard.entry import Entry, Oddity
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import schema_named
from bimotion.protocol.settings import in_group
from bimotion.results.clip_predictions import matrix
from bimotion.results.record import ModelUsed
from tests.support import submissions
from tests.support.boards import rewrite, rewrite_table
from tests.support.shared import once

HONEST = {f"lab{number}/model": 0.1 + 0.02 * number for number in range(6)}
"""Name -> share of the truth that it knows."""
VALENCE = schema_named("valence")


@pytest.fixture(scope="module")
def source(whole_tree):
    """A mould of submissions with all four cells and transfers into each."""
    return submissions.Source(submissions.run_of(whole_tree), keep=20)


@pytest.fixture
def honest(source, root):
    """A folder of six models, verified."""
    for number, (name, skill) in enumerate(HONEST.items()):
        source.write(root, name, skill, number)
    return root


def forged(source, root, model, skill, change, seed=0):
    """A verified submission with other probabilities; `change`: of the whole table."""
    folder = source.write(root, model, skill, seed, verified=False)
    rewrite_table(folder, change)
    submissions.verify(folder)
    return folder


def with_probabilities(table, probabilities):
    return table.assign(probabilities=list(probabilities.astype(np.float32)))


def kinds_of(built) -> dict[str, set[str]]:
    """Model -> the kinds of its marks; only of models that have some."""
    kinds = {entry.model: {oddity.kind for oddity in entry.oddities} for entry in built.entries}
    return {model: of_model for model, of_model in kinds.items() if of_model}


def mark_of(built, model, kind) -> Oddity:
    (oddity,) = [
        oddity
        for entry in built.entries
        if entry.model == model
        for oddity in entry.oddities
        if oddity.kind == kind
    ]
    return oddity


def test_models_that_know_nothing_of_each_other_have_no_mark(honest):
    built = board.build(honest)
    assert len(built.entries) == len(HONEST)
    assert kinds_of(built) == {}


def test_predictions_made_from_the_labels_lead_by_a_margin(honest, source):
    source.write(honest, "cheat/perfect", 1.0, 99)
    built = board.build(honest)
    assert kinds_of(built) == {"cheat/perfect": {"margin"}}
    oddity = mark_of(built, "cheat/perfect", "margin")
    assert (oddity.figure, oddity.threshold) == (1.0, oddities.MIN_LEAD)
    assert "100.0, and the best of 6 other models, lab5/model," in oddity.explanation
    assert from_json(Oddity, json.dumps(dataclasses.asdict(oddity)), "oddity") == oddity


def test_a_margin_needs_other_models_that_were_recomputed(root, source):
    for number, (name, skill) in enumerate(HONEST.items()):
        source.write(root, name, skill, number, verified=number > 1)
    source.write(root, "cheat/perfect", 1.0, 99)
    assert kinds_of(board.build(root)) == {}
    assert oddities.lead(0.9, 0.8) == pytest.approx(0.5)
    assert oddities.lead(1.0, 1.0) == 0


def corrected(table):
    """The labels in 5 % of the predictions."""
    probabilities, reference = matrix(table["probabilities"]), matrix(table["reference"])
    chosen = np.random.default_rng(5).random(len(table)) < 0.05
    truth = (reference == 1) / np.maximum((reference == 1).sum(axis=1, keepdims=True), 1)
    return with_probabilities(table, np.where(chosen[:, None], truth, probabilities))


def test_errors_of_another_model_are_told_on_both(honest, source):
    forged(source, honest, "cheat/better", HONEST["lab3/model"], corrected, seed=3)
    built = board.build(honest)
    assert kinds_of(built) == {name: {"shared errors"} for name in ("cheat/better", "lab3/model")}
    for own, other in (("cheat/better", "lab3/model"), ("lab3/model", "cheat/better")):
        oddity = mark_of(built, own, "shared errors")
        assert oddity.figure > 0.95
        assert f"in the same way as {other}: agreement" in oddity.explanation
        assert not any(name in oddity.explanation for name in set(HONEST) - {other})


def test_what_is_only_claimed_marks_nobody_else(honest, source):
    folder = source.write(honest, "cheat/claimed", HONEST["lab3/model"], 3, verified=False)
    rewrite_table(folder, corrected)
    for seed in range(oddities.MIN_RUNS):  # runs of another's model, as anybody may send them
        folder = source.write(honest, f"claim{seed}/model", 0.01, seed + 50, verified=False)
        rewrite(folder, model=ModelUsed("lab3/model", "1", options={"number": seed}))
    assert kinds_of(board.build(honest)) == {"cheat/claimed": {"shared errors"}}


def test_ids_that_make_the_hash_of_fewer_clips_stop_no_board(honest, source):
    """Two ids as one, and the reference that is left over in the last id's place."""

    def merged(table):
        cells = []
        for _, part in table.groupby(["train", "cell", "seed"]):
            part = part.sort_values("id").reset_index(drop=True)
            references = matrix(part["reference"]).astype(np.int8)
            part.loc[0, "id"] = f"{part['id'][0]}\n{part['id'][1]}"
            part = part.drop(index=1).reset_index(drop=True)
            last = references[0].tobytes().decode("latin1")
            part.loc[len(part) - 1, "id"] += last
            part["reference"] = list(references[1:].astype(np.float32))
            cells.append(part)
        return pd.concat(cells)

    folder = source.write(honest, "cheat/merged", 0.2, 60, verified=False)
    before = kinds_of(board.build(honest))
    rewrite_table(folder, merged)
    built = board.build(honest)
    assert kinds_of(built) == before
    assert len(built.entries) + len(built.excluded) == len(HONEST) + 1


def knowing(table):
    """The same decisions, sure where they are right."""
    probabilities, reference = matrix(table["probabilities"]), matrix(table["reference"])
    offered = np.where(reference == -1, -1, probabilities)
    chosen = offered.argmax(axis=1)
    right = np.take_along_axis(reference, chosen[:, None], axis=1)[:, 0] == 1
    sure = np.where(right, 0.95, 0.4) + np.random.default_rng(0).uniform(0, 0.04, len(table))
    rest = (1 - sure) / (probabilities.shape[1] - 1)
    is_chosen = np.arange(probabilities.shape[1]) == chosen[:, None]
    return with_probabilities(table, np.where(is_chosen, sure[:, None], rest[:, None]))


def test_confidence_that_knows_the_labels(honest, source):
    forged(source, honest, "cheat/sure", 0.15, knowing, seed=77)
    built = board.build(honest)
    assert kinds_of(built) == {"cheat/sure": {"confidence"}}
    oddity = mark_of(built, "cheat/sure", "confidence")
    assert oddity.figure > oddities.MIN_CONFIDENCE_AREA
    assert "right one is more confident" in oddity.explanation


def told_in_transfers(table):
    """The labels in all predictions but in-group ones."""
    probabilities, reference = matrix(table["probabilities"]), matrix(table["reference"])
    is_other = (table["train"] != table["cell"]).to_numpy()
    return with_probabilities(table, np.where(is_other[:, None], reference == 1, probabilities))


def test_transfers_that_beat_the_cell_itself(honest, source):
    forged(source, honest, "cheat/traveller", 0.15, told_in_transfers, seed=88)
    built = board.build(honest)
    assert kinds_of(built) == {"cheat/traveller": {"better across"}}
    explanation = mark_of(built, "cheat/traveller", "better across").explanation
    assert "than trained there, by" in explanation


def test_many_runs_of_one_model_are_counted_and_their_spread_shown(honest, source):
    for number in range(oddities.MIN_RUNS):
        source.write(honest, "cheat/lucky", 0.15, 100 + number, version=str(number))
        built = board.build(honest)
        expected = {} if number + 1 < oddities.MIN_RUNS else {"cheat/lucky": {"many runs"}}
        assert kinds_of(built) == expected
    runs = [entry for entry in built.entries if entry.model == "cheat/lucky"]
    means = sorted(100 * entry.base.value for entry in runs)
    for entry in runs:
        (oddity,) = entry.oddities
        assert oddity.figure == oddities.MIN_RUNS
        assert f"with means of {means[0]:.1f} to {means[-1]:.1f}" in oddity.explanation


def test_marks_move_no_rank_and_no_status(honest, source, monkeypatch):
    for folder in list(honest.glob("*/*")):
        submissions.reproduce(folder)
    without = board.build(honest)
    for name in ("MIN_LEAD", "MIN_SHARED_ERRORS"):
        monkeypatch.setattr(oddities, name, -10.0)
    for name, value in (("BEYOND_DOUBT", 1.0), ("MIN_POSSIBLE", 0), ("MIN_RUNS", 1)):
        monkeypatch.setattr(oddities, name, value)
    marked = board.build(honest)
    new = {"margin", "shared errors", "many runs"}
    assert all(new <= of_model for of_model in kinds_of(marked).values())
    assert len(kinds_of(marked)) == len(HONEST)
    plain = [dataclasses.replace(entry, oddities=[]) for entry in marked.entries]
    assert plain == without.entries
    assert marked.comparable == without.comparable
    assert [entry.ranking.rank for entry in without.entries] == [1, 2, 3, 4, 5, 6]


def test_the_order_of_entries_does_not_matter(honest, source):
    forged(source, honest, "cheat/better", HONEST["lab3/model"], corrected, seed=3)
    source.write(honest, "cheat/perfect", 1.0, 99)
    of_folder = {
        "/".join(path.parts[-2:]): scored.score(path, "/".join(path.parts[-2:]))
        for path in honest.glob("*/*")
    }
    flags = {"status": "recomputed", "status_reason": "nobody has run it again"}

    def among(names):
        entries = {
            name: dataclasses.replace(
                of_folder[name].entry,
                flags=dataclasses.replace(of_folder[name].entry.flags, **flags),
            )
            for name in names
        }
        ranked = {name: of_folder[name].ranked for name in names}
        return oddities.among(entries, ranked, {name: of_folder[name].errors for name in names})

    names = sorted(of_folder)
    assert len(among(names)) == 3
    assert among(names) == among(names[::-1])
    assert among([]) == among(names[:1]) == {}
    assert set(among(names[:2])) <= set(names[:2])


# --- figures by hand ----------------------------------------------------------------------------


def tables(probabilities, reference, n_seeds=1):
    """Predictions of one in-group setting."""
    (setting,) = in_group([Cell.parse("eng_eld")])
    rows = pd.DataFrame(
        {"corpus": "tess", "speaker": "s", "cell": "eng_eld", "train": "eng_eld"},
        index=range(len(reference)),
    )
    rows = rows.assign(
        probabilities=list(np.array(probabilities, float)),
        reference=list(np.array(reference, np.int8)),
    )
    return {setting: [rows.assign(seed=seed) for seed in range(n_seeds)]}


def test_confidence_is_the_area_under_the_roc_curve():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([1, 1, 1], 200)
    reference = np.eye(3, dtype=np.int8)[rng.integers(3, size=200)]
    right = reference.argmax(axis=1) == probabilities.argmax(axis=1)
    expected = roc_auc_score(right, probabilities.max(axis=1))
    for n_seeds in (1, 2):
        ranking = oddities.confidence(tables(probabilities, reference, n_seeds), VALENCE)
        assert ranking.area == pytest.approx(expected)
        assert (ranking.n_right, ranking.n_wrong) == (right.sum(), (~right).sum())


@pytest.mark.parametrize(
    ("probabilities", "reference", "area"),
    [
        ([[0.5, 0.3, 0.2]] * 4, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], 0.5),  # constant
        ([[0.5, 0.3, 0.2]] * 3, [[1, 0, 0]] * 3, None),  # one class
        ([[0, 0, 0]] * 3, [[1, 0, 0]] * 3, None),  # nothing is chosen
        ([[1, 0, 0], [0.4, 0.3, 0.3]], [[1, 0, 0], [0, 1, 0]], 1.0),
    ],
)
def test_confidence_of_few_clips(probabilities, reference, area):
    ranking = oddities.confidence(tables(probabilities, reference), VALENCE)
    assert (ranking and ranking.area) == area
    assert oddities.of_submission(tables(probabilities, reference), {}, VALENCE) == []


# --- what readers see ---------------------------------------------------------------------------


def test_exports_and_records_say_it(honest, source):
    source.write(honest, "cheat/perfect", 1.0, 99)
    built = board.build(honest)
    (line,) = [row for row in export.export(built, "csv").splitlines() if "cheat/perfect" in row]
    assert "looks odd: margin" in line
    (entry,) = [entry for entry in built.entries if entry.model == "cheat/perfect"]
    assert from_json(Entry, json.dumps(dataclasses.asdict(entry)), "entry") == entry
    assert "looks odd (margin), no verdict" in hub_results.eval_results(entry, "org/bimotion")
    schema = board.json_schema()["$defs"]["Oddity"]
    assert set(schema["required"]) == {"kind", "figure", "threshold", "explanation"}


def test_marks_are_kept_with_the_entry(honest, source, monkeypatch, tmp_path):
    """A board that is read back from the cache is the one that was computed."""
    forged(source, honest, "cheat/better", HONEST["lab3/model"], corrected, seed=3)
    forged(source, honest, "cheat/sure", 0.15, knowing, seed=77)
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    computed = board.build(honest)
    kept = list((tmp_path / "cache" / "board").iterdir())
    assert len(kept) == len(HONEST) + 2
    assert board.build(honest).to_json() == computed.to_json()
    assert kinds_of(computed)


# --- real models --------------------------------------------------------------------------------


def test_honest_runs_of_real_models_have_no_mark(shared_corpora, real_models, tmp_path):
    def lay(root):
        for clip in sorted((shared_corpora / "CSED").rglob("*.wav"))[::2]:
            target = root / clip.relative_to(shared_corpora)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip, target)

    def evaluate(output):
        asked = {"data_dir": once("half-csed", lay), "allow_missing": True, "output": output}
        for name in ("whisper-tiny.en", "whisper-base-encoder"):
            runner.evaluate(str(real_models / name), protocol="in-group", window="clip", **asked)
        for name in ("bimotion/prosody", "bimotion/majority"):
            runner.evaluate(name, protocol="in-group", **asked)

    folder = once("honest-runs", evaluate)
    built = board.build(folder, practice=True)
    assert len(built.entries) == 4, built.excluded
    assert kinds_of(built) == {}
    for path in folder.glob("*/*/result.json"):
        entry = scored.score(path.parent, "a/b")
        assert all(np.isfinite(score.value) for score in entry.entry.scores)
