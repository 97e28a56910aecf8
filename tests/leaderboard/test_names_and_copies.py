"""Names of baselines, names that look alike, and copies of the entries of others."""

import numpy as np
import pytest

from bimotion.leaderboard import board, receiving
from tests.support.drafts import Draft, received


@pytest.mark.parametrize(
    ("organisation", "model"),
    [
        ("bimotion", "bimotion/large"),
        ("BiMotion", "BiMotion/prosody"),
        ("b1m0tion", "b1m0tion/prosody"),
        ("birnotion", "birnotion/random"),
        ("bi-motion", "bi-motion/random"),
        ("BIMOTI0N", "prosody"),
    ],
)
def test_no_stranger_takes_the_name_of_a_baseline(organisation, model, run, known, tmp_path):
    for baseline in (False, True):
        draft = Draft(run)
        draft.result["model"]["name"], draft.statement["organisation"] = model, organisation
        verdict, found = received(draft.write(tmp_path / str(baseline)), known, baseline=baseline)
        assert found is None
        assert verdict.problems == [
            "model: bimotion/* is reserved for bimotion/majority, bimotion/prosody, "
            f"bimotion/random; found {model}"
        ]


def named(run, model, root):
    """A submission of a model, with probabilities of its own."""
    draft = Draft(run)
    draft.result["model"]["name"], draft.statement["organisation"] = model, model.partition("/")[0]
    return draft.write(root)


def test_names_that_look_alike_are_refused(run, known, tmp_path):
    root = tmp_path / "submissions"
    first = named(run, "lab/x1", root)
    assert received(first, known, baseline=False)[1] is not None
    others = [named(run, model, root) for model in ("Lab/x1", "lab/xl", "1ab/x1", "lab/X-1")]
    names = [f"{folder.parent.name}/{folder.name}" for folder in (first, *others)]
    verdicts = receiving.receive(root, names, known)
    assert [verdict.ok for verdict in verdicts] == [True, False, False, False, True]
    assert verdicts[1].problems == ["name: Lab__x1 can be mistaken for lab__x1, that has a receipt"]
    for folder in (first, others[-1]):
        folder.rename(tmp_path / folder.name)  # gone: its name is free again
    [new, both] = receiving.receive(root, names[1:3], known)
    assert (
        "name: Lab__x1 can be mistaken for lab__xl, that is verified at the same time: remove one"
        in new.problems
    )
    assert not both.ok
    assert receiving.receive(root, names[1:2], known)[0].ok


def test_a_renamed_submission_has_no_receipt(run, known, tmp_path):
    root = tmp_path / "submissions"
    folder = named(run, "lab/x", root)
    received(folder, known, baseline=False)
    (entry,) = board.build(root).entries
    assert entry.marks.verified
    folder.parent.rename(root / "evil__x")
    # even if its receipt goes along
    (tmp_path / "receipts" / "lab__x").rename(tmp_path / "receipts" / "evil__x")
    (entry,) = board.build(root).entries
    assert (entry.marks.verified, entry.standing) == (False, None)
    assert entry.marks.unverified == f"its receipt speaks of 'lab__x/{folder.name}'"


COPIES = {
    "equal": lambda p: p,
    "rounded": lambda p: p.round(2),
    "shaken": lambda p: np.clip(p + np.random.default_rng(0).normal(0, 0.003, p.shape), 0, 1),
    "sharpened": lambda p: p**1.2,
}


def test_a_copy_of_another_entry_is_marked_on_both(run, known, tmp_path):
    """Scores follow from the copy, so it is verified; an entry of its own has no mark."""
    for number, (name, change) in enumerate({**COPIES, "other": lambda p: p[::-1]}.items()):
        draft = Draft(run)
        draft.result["model"]["name"], draft.statement["organisation"] = f"lab/{name}", "lab"
        draft.table["probabilities"] = list(
            change(np.stack(draft.table["probabilities"])).astype(np.float32)
        )
        draft.rescored()
        verdict, _ = received(draft.write(tmp_path / "submissions"), known, baseline=False)
        assert verdict.ok, (number, verdict.problems)
    marks = {entry.model: entry.marks for entry in board.build(tmp_path / "submissions").entries}
    copies = {f"lab/{name}" for name in COPIES}
    assert {name: set(one.same_predictions) for name, one in marks.items()} == {
        "lab/other": set(),
        **{name: copies - {name} for name in copies},
    }
    assert {one.verified for one in marks.values()} == {True}


STATEMENTS = [
    "IEM0CAP",
    "ＩＥＭＯＣＡＰ",
    "ІЕМОСАР",
    "IEMOCAPdataset",
    "I\u0332EMOCAP",
    "my-iemocap-v2",
]


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_spelling_hides_a_corpus(name, evaluated, known, tmp_path):
    run = evaluated(cells=["eng_adu"])
    draft = Draft(run)
    draft.result["model"]["name"], draft.statement["organisation"] = "lab/x", "lab"
    # as earlier versions said
    draft.statement |= {"trained_on": [name], "contamination": {"eng_adu": []}}
    folder = draft.write(tmp_path / "submissions")
    verdict, found = received(folder, known, baseline=False)
    assert found is None
    assert verdict.problems == [
        "submission.json: contamination: expected {'eng_adu': ['iemocap']}, found {'eng_adu': []}"
    ]
    (entry,) = board.build(tmp_path / "submissions").entries
    assert entry.marks.contaminated == {"eng_adu": ["iemocap"]}
