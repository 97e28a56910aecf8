"""Receipts that a keeper's slip leaves, names that look alike of which a keeper knows one, and two
who verify at once."""

import logging
import threading

import pytest

from bimotion.data.source import CorpusSource
from bimotion.io import files
from bimotion.leaderboard import board, organisations, receipt, receiving
from bimotion.leaderboard.answer_key import AnswerKey
from tests.leaderboard.test_names_and_copies import named
from tests.support import keys, submissions
from tests.support.drafts import Draft, received

LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 123456\n"


@pytest.fixture
def again(run, known, root):
    """A submission that was verified and run again."""
    folder = named(run, "lab/x1").write(root)
    assert received(folder, known, baseline=False)[0].ok
    submissions.reproduce(folder)
    return folder


def held_after(folder, answer_key, **options):
    """The lines about a submission that is refused, and its receipt."""
    [verdict] = receiving.receive(
        folder.parents[1], [submissions.name_of(folder)], answer_key, **options
    )
    assert not verdict.ok
    return verdict.warnings, receipt.earlier(
        folder.parents[2] / "receipts", submissions.name_of(folder)
    )


def test_other_settings_withdraw_no_receipt(again, known, root, shared_corpora):
    few = AnswerKey.of_corpora(CorpusSource.of(shared_corpora, allow_missing=True))
    where = root.parent / "receipts" / submissions.name_of(again)
    for answer_key, options in ((few, {"practice": True}), (known, {"baseline": True})):
        lines, held = held_after(again, answer_key, **options)
        assert lines[-1] == (
            "its receipt stays and still counts on the board (these are the files that it was "
            f"written for): to take the entry off the board, remove {where}"
        )
        assert held.reproduction is not None
    assert board.build(root).entries[0].flags.status == "reproduced"


def test_who_only_checks_hears_that_a_receipt_still_counts(again, known, root):
    keys.sign(again, keys.key_of(root.parent, "anna"))
    lines, _ = held_after(again, known, baseline=True)
    assert "still counts on the board" in lines[-1]
    assert submissions.receipt_of(again).exists()
    submissions.receipt_of(again).with_name("receipt.json.sig").unlink()
    lines, _ = held_after(again, known, baseline=True)
    assert lines[-1].startswith("its receipt stays (these are the files that it was written for): ")


def test_verified_for_practice_too_it_stays_on_the_real_board(again, known):
    verdict, held = received(again, known, baseline=False, practice=True)
    assert verdict.ok
    assert (held.practice, held.reproduction is not None) == (False, True)


def test_files_that_are_not_there_withdraw_no_receipt(again, known):
    path = again / "predictions.parquet"
    content = path.read_bytes()
    for other in (LFS, None):
        path.unlink()
        if other is not None:
            path.write_text(other)
        lines, held = held_after(again, known)
        assert "the files cannot be read, so nobody knows whether they changed" in lines[0]
        assert held is not None
    path.write_bytes(content)
    assert received(again, known, baseline=False)[1].reproduction is not None


def test_a_pointer_of_git_lfs_is_called_so(again, known, root):
    (again / "predictions.parquet").write_text(LFS)
    message = "predictions.parquet: expected the file, found a Git LFS pointer: fetch it"
    assert received(again, known, baseline=False)[0].problems[0].startswith(message)
    assert board.build(root).excluded[0].reason.startswith(message)


def test_other_files_withdraw_the_receipt(again, known):
    path = again / "result.json"
    path.write_text(path.read_text().replace("lab/x1", "lab/x2"))
    lines, held = held_after(again, known)
    assert lines == ["its receipt was withdrawn: changed since it was verified: result.json"]
    assert held is None


def test_another_key_beside_a_name_that_looks_alike_withdraws_nothing(again, run, known, root):
    keys.sign(again, keys.key_of(root.parent, "anna"))
    (root.parent / "keys" / "anna.pub").unlink()
    bob = receipt.keys_for(root, signing=keys.key_of(root.parent, "bob"))
    other = named(run, "1ab/x1").write(root)
    names = list(map(submissions.name_of, (again, other)))
    verdicts = receiving.receive(root, names, known, keys=bob)
    assert not any(verdict.ok for verdict in verdicts)
    assert submissions.receipt_of(again).exists()
    # who looks at both and takes the other away signs what was found before
    verdict = receiving.receive(root, names[:1], known, keys=bob)[0]
    assert verdict.ok


def test_what_the_keeper_knows_stands_beside_a_name_that_looks_alike(run, known, root):
    first, second = (named(run, f"{name}/x1").write(root) for name in ("1ab", "lab"))
    received(first, known, baseline=False)
    for proof in (None, "lab is the submitter's own name on the Hub"):
        verdict, held = received(second, known, baseline=False, organisation_proof=proof)
        assert held is None
        assert verdict.problems == [
            "name: lab__x1 can be mistaken for 1ab__x1, that has a receipt. If you know that "
            "lab__x1 comes from the organisation that it names, verify it with "
            "--organisation-proved: then it stands instead"
        ]
    by_keeper = {"baseline": False, "organisation_proof": organisations.BY_KEEPER}
    assert received(second, known, **by_keeper)[0].ok
    built = board.build(root)
    assert [entry.model for entry in built.entries] == ["lab/x1"]
    assert built.excluded[0].reason == (
        "its name, 1ab/x1, can be mistaken for lab/x1, whose organisation the keeper confirmed"
    )
    # the other's receipt stays, and neither takes the place again
    assert submissions.receipt_of(first).exists()
    for options in ({"baseline": False}, by_keeper):
        verdict, held = received(first, known, **options)
        assert verdict.problems == ["name: 1ab__x1 can be mistaken for lab__x1, that has a receipt"]
        assert held is not None
    assert received(second, known, baseline=False)[0].ok


ALIKE = "name: 1ab__x1 can be mistaken for lab__x1, that has a receipt"


def test_a_receipt_of_other_files_keeps_no_name_out(run, known, root):
    first, second = (named(run, f"{name}/x1").write(root) for name in ("lab", "1ab"))
    received(first, known, baseline=False)
    verdict, _ = received(second, known, baseline=False)
    assert verdict.problems[0].startswith(ALIKE)
    path = first / "predictions.parquet"
    content = path.read_bytes()
    path.write_text(LFS)  # nobody knows whether it changed
    verdict, _ = received(second, known, baseline=False)
    assert verdict.problems[0].startswith(ALIKE)
    path.write_bytes(content + b"x")
    assert received(second, known, baseline=False)[0].ok


def test_a_receipt_for_practice_keeps_a_name_out_for_practice_only(run, known, root):
    first, second = (named(run, f"{name}/x1").write(root) for name in ("lab", "1ab"))
    received(first, known, baseline=False, practice=True)
    verdict, _ = received(second, known, baseline=False, practice=True)
    assert verdict.problems[0].startswith(ALIKE)
    assert received(second, known, baseline=False)[0].ok


def test_two_who_verify_at_once_admit_one_name(run, known, root):
    first, second = (named(run, f"{name}/x1").write(root) for name in ("lab", "1ab"))
    verdicts, waits_or_ended = [], threading.Event()

    class Heard(logging.Handler):
        def emit(self, record):
            if "waiting for another process that changes receipts" in record.getMessage():
                waits_or_ended.set()

    def verify():
        try:
            verdicts.append(received(second, known, baseline=False)[0])
        finally:
            waits_or_ended.set()

    handler, logger = Heard(), logging.getLogger(files.__name__)
    logger.addHandler(handler)
    thread = threading.Thread(target=verify)
    try:
        with files.locked(receiving.lock_file(root.parent / "receipts")):
            thread.start()
            waits_or_ended.wait()
            assert verdicts == []  # it waits
            submissions.verify(first)
        thread.join()
    finally:
        logger.removeHandler(handler)
    assert verdicts[0].problems[0].startswith(ALIKE)


def test_no_lock_lies_among_receipts(run, known, root):
    """A keeper's own repository would commit it."""
    folder = Draft(run).write(root)
    assert received(folder, known)[0].ok
    left = {path.name for path in (root.parent / "receipts").rglob("*") if path.is_file()}
    assert left == {receipt.RECEIPT_FILE, receipt.ENTRY_FILE}


def test_who_only_checks_leaves_no_lock(run, known, root):
    keys.key_of(root.parent, "anna")
    folder = Draft(run).write(root)
    receiving.receive(root, [submissions.name_of(folder)], known, baseline=True)
    assert not (root.parent / "receipts").exists()
