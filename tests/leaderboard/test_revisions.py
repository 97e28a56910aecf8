"""A model of the Hub at what is no commit: verify, reproduce and the page say so; not public."""

import dataclasses

import pytest

from bimotion.leaderboard import admission, reproduction, verify
from bimotion.results import rescoring
from tests.support.drafts import Draft

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NONE = ["refs/pr/7", "main", COMMIT[:12], COMMIT.upper(), f"{COMMIT}\n", "", None]


def of_a_stranger(run, revision):
    """A sound submission under the name of a model of the Hub."""
    draft = Draft(run)
    draft.result["model"] |= {"name": "facebook/model", "revision": revision, "version": "1"}
    draft.statement["organisation"] = "facebook"
    draft.statement["model"]["revision"] = revision
    draft.table["probabilities"] = [row / row.sum() for row in draft.table["probabilities"]]
    draft.rescored()
    return draft


@pytest.mark.parametrize("revision", NONE)
def test_what_is_no_commit_is_told_apart(run, revision):
    result, rows = rescoring.read(run)
    model = dataclasses.replace(result.model, name="facebook/model", revision=revision)
    other = dataclasses.replace(result, model=model)
    shown = "none" if revision is None else repr(revision)
    expected = "expected a commit of facebook/model (40 of 0-9 and a-f), found"
    assert f"{expected} {shown}: a branch moves" in admission.why_no_commit(other)
    named = dataclasses.replace(other, model=dataclasses.replace(model, revision=COMMIT))
    assert admission.why_no_commit(named) is None
    assert admission.why_no_commit(result) is None  # a baseline
    folder = dataclasses.replace(other, model=dataclasses.replace(model, name="folder"))
    assert admission.why_no_commit(folder) is None
    for run_of, is_public in ((other, False), (named, True), (result, True)):
        made = reproduction.reproduction_of(
            run_of,
            rows,
            rows,
            training_sets=list(rows["train"].unique()),
            model_differs=[],
            made=result.provenance,
            n_training_sets=1,
            draw=None,
            is_public=True,
        )
        assert (made.reproduced, made.is_public) == (True, is_public)


@pytest.mark.parametrize("revision", ["refs/pr/7", COMMIT])
def test_verify_says_so_and_takes_it(run, known, tmp_path, revision):
    verdict = verify.verify(of_a_stranger(run, revision).write(tmp_path), known)
    lines = [line for line in verdict.warnings if line.startswith("model.revision: ")]
    assert (verdict.problems, len(lines)) == ([], int(revision != COMMIT))


def test_the_page_says_so(built, page):
    assert {entry.revision for entry in built.entries} == {None}
    for name, is_said in (("lab/large", True), ("bimotion/random", False)):
        page.open_model(name)
        text = page.text("#detail")
        assert (f"no revision (no commit of {name}: which weights" in text) == is_said
        page.back()
