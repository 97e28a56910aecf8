"""A submission held against an answer key, number by number. It comes from a stranger: nothing in
it is believed.

Three steps, each only where the one before found nothing wrong: the files (three plain ones of
bounded size), the records (record.py: what was run, on which data), the predictions
(predictions.py: every row; then every score computed again).
"""

import dataclasses
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.errors import BimotionError, printable
from bimotion.leaderboard import admission, known_training, receipt, submission, unlabelled
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.submission import SUBMISSION_FILE, Submission
from bimotion.leaderboard.verify.predictions import row_problems
from bimotion.leaderboard.verify.record import (
    UNCHECKED,
    differences,
    expected_record,
    expected_statement,
    has_clips,
    spec_problems,
)
from bimotion.results import predictions, rescoring, scoring
from bimotion.results import record as results
from bimotion.results.human import human_agreement
from bimotion.results.record import PREDICTIONS_FILE, RESULT_FILE, Result, Score

MAX_LINE = 500
MAX_LINES = 50
MAX_SHOWN_SCORES = 10
"""Differing scores that are told one by one."""


@dataclass
class Verdict:
    """The outcome of the checks of one submission."""

    problems: list[str] = field(default_factory=list)
    """One line each: where, what was expected, what was found."""
    warnings: list[str] = field(default_factory=list)
    """What was checked otherwise than directly, or a reader should know."""
    result: Result | None = None
    """As submitted, with scores computed here, and human raters of the votes that are at hand
    here; None where there are problems."""
    submission: Submission | None = None
    """None where it cannot be read."""
    hashes: dict[str, str] = field(default_factory=dict)
    """File -> SHA-256 of what was verified."""
    has_labels: bool = True
    """The predictions hold labels; otherwise they were filled in from the answer key."""

    @property
    def ok(self) -> bool:
        """Every check was made and nothing is wrong."""
        return not self.problems and self.result is not None


def verify(path: Path, answer_key: AnswerKey, *, practice: bool = False) -> Verdict:
    """Check one folder `<org>__<model>/<run key>`.

    Never raises for what stands in the folder: whatever is wrong with it is a problem of the
    verdict.

    Args:
        path: of the submission.
        answer_key: what it is held against.
        practice: results of synthetic or incomplete corpora may be sound, too.

    Example::

        answer_key = AnswerKey.of_corpora(CorpusSource.of("/corpora"))
        verdict = verify(Path("leaderboard/submissions/lab__model/0123456789ab"), answer_key)
        print("verified" if verdict.ok else "\\n".join(verdict.problems))
    """
    return verify_all([path], answer_key, practice=practice)[0]


def verify_all(
    paths: Sequence[Path], answer_key: AnswerKey, *, practice: bool = False
) -> list[Verdict]:
    """`verify` of many folders; their predictions share one process that inspects them."""
    verdicts = {path: Verdict() for path in paths}
    for path, verdict in verdicts.items():
        _check(verdict, _file_problems, path, verdict)
        _check(verdict, _statement_problems, path, verdict, practice)
    sound = _sound(verdicts)
    # its interpreter starts while the records are checked
    with predictions.inspector() as inspect:
        for rule in sorted({verdict.result.split.rule for verdict in sound.values()}):
            _ = answer_key.splits[rule]  # what is wrong with our corpora is no submission's fault
        for path, verdict in sound.items():
            _check(verdict, _record_problems, path, verdict, answer_key, practice)
        sound = _sound(sound)
        refused = inspect(
            {path / PREDICTIONS_FILE: sound[path].result.n_predictions for path in sound}
        )
    for path, verdict in sound.items():
        reason = refused.get(path / PREDICTIONS_FILE)
        _check(verdict, _prediction_problems, path, verdict, answer_key, reason)
    for verdict in verdicts.values():
        if verdict.problems:
            verdict.result = None
    return [verdicts[path] for path in paths]


def _sound(verdicts: dict[Path, Verdict]) -> dict[Path, Verdict]:
    """Those in which no check has found a problem yet."""
    return {path: verdict for path, verdict in verdicts.items() if not verdict.problems}


def _check(verdict: Verdict, check: Callable[..., Iterator[str]], *arguments: object) -> None:
    """Make a check unless an earlier one found problems; keep the first ones, one printable line
    each. An error is a problem, and ends the check."""
    if verdict.problems:
        return
    lines = verdict.problems
    try:
        lines.extend(islice(check(*arguments), MAX_LINES))
    except BimotionError as error:
        lines.append(str(error))
    except (OSError, UnicodeError) as error:
        lines.append(f"cannot be read: {error}")
    except MemoryError:
        lines.append(f"{UNCHECKED}: this machine has not enough free memory")
    except Exception as error:  # one hostile folder must not keep the others from being verified
        lines.append(f"unexpected {type(error).__name__}: {error}")
    lines[:] = [
        printable(line if len(line) <= MAX_LINE else line[:MAX_LINE] + "...") for line in lines
    ]


def _file_problems(path: Path, verdict: Verdict) -> Iterator[str]:
    if not stat.S_ISDIR(path.lstat().st_mode):
        yield f"{path}: expected a folder, found a link or a file"
        return
    if (path / RESULT_FILE).is_file() and not os.path.lexists(path / SUBMISSION_FILE):
        yield (
            f"{SUBMISSION_FILE}: expected one, found a run as `bimotion evaluate` left it: "
            f"`bimotion submit {path}` makes one"
        )
        return
    verdict.hashes = receipt.digests(path)


def _statement_problems(path: Path, verdict: Verdict, practice: bool) -> Iterator[str]:
    """Records that cannot be read, or are none of a run that a board takes."""
    verdict.submission = statement = submission.load(path / SUBMISSION_FILE)
    hashes = {name: verdict.hashes[name] for name in (PREDICTIONS_FILE, RESULT_FILE)}
    if statement.fingerprints != hashes:
        where = f"{SUBMISSION_FILE}: fingerprints"
        yield from differences(hashes, statement.fingerprints, where)
        return
    result = results.load(path / RESULT_FILE)
    problems = []
    for name, record in ((RESULT_FILE, result), (SUBMISSION_FILE, statement)):
        # a field twice, or hidden in odd spelling
        if record.to_json().encode() != (path / name).read_bytes():
            problems.append(
                f"{name}: expected JSON as bimotion writes it, found other bytes of the same "
                "meaning"
            )
    problems += [f"{RESULT_FILE}: {line}" for line in spec_problems(result, practice)]
    if not problems and (reason := submission.why_malformed(statement)):
        problems.append(f"{SUBMISSION_FILE}: {reason}")
    yield from problems
    if not problems:
        verdict.result = result


def _record_problems(
    path: Path, verdict: Verdict, answer_key: AnswerKey, practice: bool
) -> Iterator[str]:
    """Records that say other things than an honest run of the same spec does."""
    statement, result = verdict.submission, verdict.result
    hashes = {name: verdict.hashes[name] for name in (PREDICTIONS_FILE, RESULT_FILE)}
    settings = rescoring.settings_of(result)
    expected = expected_statement(statement, result, settings, hashes)
    for line in differences(expected, dataclasses.asdict(statement)):
        yield f"{SUBMISSION_FILE}: {line}"
    folder = submission.folder_of(statement, result)
    yield from differences(folder, "/".join(path.absolute().parts[-2:]), "folder")
    without_scores = dataclasses.replace(result, scores=[])  # thousands, compared later on
    try:
        expected = expected_record(without_scores, settings, answer_key, practice)
    except BimotionError as error:
        yield f"{RESULT_FILE}: {error}"
        return
    for line in differences(expected, dataclasses.asdict(without_scores)):
        yield f"{RESULT_FILE}: {line}"


def _prediction_problems(
    path: Path, verdict: Verdict, answer_key: AnswerKey, reason: str | None
) -> Iterator[str]:
    """`reason`: why a process of its own could not read them."""
    if reason is not None:
        yield f"{PREDICTIONS_FILE}: {reason}"
        return
    result = verdict.result
    answer_key = answer_key.only([name for name in result.data.corpora if has_clips(result, name)])
    settings, schema = rescoring.settings_of(result), rescoring.schema_of(result)
    table = predictions.read(path / PREDICTIONS_FILE)
    verdict.has_labels = predictions.has_labels(table)
    problems = list(_label_problems(verdict, answer_key))
    if not verdict.has_labels and not problems:
        table = unlabelled.filled(table, schema, answer_key)
    if not problems:
        lines = row_problems(table, result, settings, answer_key)
        problems = [f"{PREDICTIONS_FILE}: {line}" for line in lines]
    yield from problems
    if problems:
        return
    rows = unlabelled.with_true_labels(table, schema, answer_key).to_pandas()
    scores = scoring.scores(rows, settings, schema, is_seeded=result.is_seeded)
    if verdict.has_labels:
        yield from _score_problems(scores, result.scores)
    clips = rows.drop_duplicates("id")
    clips = clips.assign(
        votes=pd.Series(answer_key.votes(pd.Index(clips["id"])), clips.index, object)
    )
    human = human_agreement(clips, np.stack(clips["reference"].to_numpy()), schema)
    verdict.result = dataclasses.replace(result, scores=scores, human=human)
    verdict.warnings += _warnings(verdict.submission, result, answer_key)


def _label_problems(verdict: Verdict, answer_key: AnswerKey) -> Iterator[str]:
    """Labels where there must be none; and none where they cannot be filled in."""
    if not verdict.has_labels:
        yield from (f"{RESULT_FILE}: {line}" for line in unlabelled.problems(verdict.result))
        if withheld := answer_key.unlabelled:
            yield (
                f"{RESULT_FILE}: {UNCHECKED}: the answer key has no labels of "
                f"{', '.join(withheld)}, and the predictions hold none: verify with the corpora"
            )
    # held against the true ones, they would be told one by one
    elif answer_key.hidden is not None:
        yield (
            f"{PREDICTIONS_FILE}: expected no labels, as a hidden test takes predictions, found "
            "some: `bimotion submit --without-labels`"
        )
    if answer_key.hidden is not None and (
        reason := unlabelled.why_not_hidden(verdict.result, answer_key)
    ):
        yield f"{RESULT_FILE}: {reason}"


def _score_problems(computed: list[Score], submitted: list[Score]) -> Iterator[str]:
    if computed == submitted:  # line by line only where some differ: thousands of rows
        return
    rows = ([dataclasses.asdict(score) for score in listed] for listed in (computed, submitted))
    lines = list(differences(*rows, f"{RESULT_FILE}: scores"))
    yield from lines[:MAX_SHOWN_SCORES]
    if len(lines) > MAX_SHOWN_SCORES:
        yield f"{RESULT_FILE}: scores: {len(lines) - MAX_SHOWN_SCORES} more differ"


def _warnings(statement: Submission, result: Result, answer_key: AnswerKey) -> Iterator[str]:
    if reason := admission.why_no_commit(result):
        yield printable(reason)
    if answer_key.unlabelled:
        yield (
            f"labels of {', '.join(answer_key.unlabelled)} are held against a hash: their licences "
            "keep them out of the file"
        )
    if statement.trained_on is None:
        yield "what the model was trained on before is not declared"
    for cell, corpora in (statement.contamination or {}).items():
        if corpora:
            yield f"{cell}: the model was trained on {', '.join(corpora)} before"
    yield from known_training.notes(submission.named(statement), statement.trained_on)
