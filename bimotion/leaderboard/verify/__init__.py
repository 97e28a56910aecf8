"""A submission held against a reference, number by number. It comes from a stranger: nothing in it
is believed.

Three steps, each only where the one before found nothing wrong: the files (three plain ones of
bounded size), the records (record.py: what was asked, of which data), the predictions
(predictions.py: every row; then every score computed again).
"""

import dataclasses
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bimotion.errors import BimotionError, printable
from bimotion.io import files
from bimotion.leaderboard import receipt, submission
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.receipt import MAX_SUBMITTED_BYTES
from bimotion.leaderboard.submission import SUBMISSION_FILE, Submission
from bimotion.leaderboard.verify import predictions as rows
from bimotion.leaderboard.verify import record as claims
from bimotion.leaderboard.verify.record import differs, short
from bimotion.protocol.labels import SCHEMAS
from bimotion.results import predictions, rescoring, scoring
from bimotion.results import record as results
from bimotion.results.record import PREDICTIONS_FILE, RESULT_FILE, Result, Score

MAX_LINE = 500
MAX_LINES = 50
MAX_SAID = 10
"""Differing scores that are told one by one."""
SCORE_TOLERANCE = 1e-9
"""Far below any digit that is shown: sums may round otherwise on another machine. The verdict's
scores are ours."""


@dataclass
class Verdict:
    """What was found about a submission.

    problems     one line each: where, what was expected, what was found
    warnings     what was checked otherwise than directly, or a reader should know
    result       as submitted, with scores computed here; None where there are problems
    submission   None where it cannot be read
    hashes       file -> SHA-256 of what was verified
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    result: Result | None = None
    submission: Submission | None = None
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Every check was made and nothing is wrong."""
        return not self.problems and self.result is not None

    @property
    def is_unchecked(self) -> bool:
        """Nothing is wrong, but the reference lacks what it takes to check it."""
        return bool(self.problems) and all(
            f": {claims.UNCHECKED}" in problem for problem in self.problems
        )


def verify(path: Path, reference: AnswerKey, *, practice: bool = False) -> Verdict:
    """Check one folder `<org>__<model>/<run key>`. `practice`: results of synthetic or incomplete
    corpora may be sound, too.

    Never raises for what stands in the folder: whatever is wrong with it is a problem of the
    verdict.

    Example::

        reference = AnswerKey.of_corpora(CorpusSource.of("/corpora"))
        verdict = verify(Path("leaderboard/submissions/lab__model/0123456789ab"), reference)
        print("verified" if verdict.ok else "\\n".join(verdict.problems))
    """
    return verify_all([path], reference, practice=practice)[0]


def verify_all(
    paths: Sequence[Path], reference: AnswerKey, *, practice: bool = False
) -> list[Verdict]:
    """`verify` of many folders; their predictions share one process that inspects them."""
    verdicts = [Verdict() for _ in paths]
    pairs = list(zip(paths, verdicts, strict=True))
    for path, verdict in pairs:
        verdict.problems = _lines(
            lambda path=path, verdict=verdict: _read_records(path, verdict, reference, practice)
        )
    pairs = [(path, verdict) for path, verdict in pairs if not verdict.problems]
    reasons = predictions.inspect([path / PREDICTIONS_FILE for path, _ in pairs])
    for (path, verdict), reason in zip(pairs, reasons, strict=True):
        verdict.problems = _lines(
            lambda p=path, v=verdict, reason=reason: _read_predictions(p, v, reference, reason)
        )
        if verdict.problems:
            verdict.result = None
    return verdicts


def _lines(check: Callable[[], Iterator[str]]) -> list[str]:
    """The first problems that a check finds, one printable line each; an error is a problem, and
    ends the check."""
    found = []
    try:
        for problem in islice(check(), MAX_LINES):
            found.append(problem)
    except BimotionError as error:
        found.append(str(error))
    except (OSError, UnicodeError) as error:
        found.append(f"cannot be read: {error}")
    except Exception as error:  # one hostile folder must not keep the others from being verified
        found.append(f"unexpected {type(error).__name__}: {error}")
    cut = [line if len(line) <= MAX_LINE else line[:MAX_LINE] + "..." for line in found]
    return [*map(printable, cut)]


def _read_records(
    path: Path, verdict: Verdict, reference: AnswerKey, practice: bool
) -> Iterator[str]:
    problems = list(_file_problems(path))
    yield from problems
    if problems:
        return
    verdict.submission = statement = submission.load(path / SUBMISSION_FILE)
    for name in MAX_SUBMITTED_BYTES:
        verdict.hashes[name] = files.digest(path / name)
    others = {name: digest for name, digest in verdict.hashes.items() if name != SUBMISSION_FILE}
    for name in sorted(others | statement.fingerprints):
        where = f"{SUBMISSION_FILE}: fingerprints.{name}"
        problems += differs(
            where, others.get(name, "no such file"), statement.fingerprints.get(name)
        )
    yield from problems
    if problems:
        return
    result = results.load(path / RESULT_FILE)
    for name, record in ((RESULT_FILE, result), (SUBMISSION_FILE, statement)):
        # a field twice, or hidden in odd spelling
        if record.to_json().encode() != (path / name).read_bytes():
            problems.append(
                f"{name}: expected JSON as bimotion writes it, found other bytes of the same "
                "meaning"
            )
    problems += [f"{RESULT_FILE}: {problem}" for problem in claims.asked(result, practice)]
    if not problems:
        settings = rescoring.settings_of(result)
        problems += [
            f"{SUBMISSION_FILE}: {problem}"
            for problem in claims.stated(statement, result, settings, path)
        ]
        derived = claims.derived(result, settings, reference, practice)
        problems += [f"{RESULT_FILE}: {problem}" for problem in islice(derived, MAX_LINES)]
    yield from problems
    if not problems:
        verdict.result = result


def _file_problems(path: Path) -> Iterator[str]:
    if not stat.S_ISDIR(path.lstat().st_mode):
        yield f"{path}: expected a folder, found a link or a file"
        return
    if (path / RESULT_FILE).is_file() and not os.path.lexists(path / SUBMISSION_FILE):
        yield (
            f"{SUBMISSION_FILE}: expected one, found a run as `bimotion evaluate` left it: "
            f"`bimotion submit {path}` makes one"
        )
        return
    found: dict[str, os.stat_result] = {}
    with os.scandir(path) as entries:
        for entry in entries:
            found[entry.name] = entry.stat(follow_symlinks=False)
    if unexpected := sorted(found.keys() - MAX_SUBMITTED_BYTES.keys()):
        yield receipt.why_unexpected(unexpected[0])
        return
    for name, most in sorted(MAX_SUBMITTED_BYTES.items()):
        if name not in found:
            yield f"{name}: expected a file, found none"
        elif not stat.S_ISREG(found[name].st_mode):
            yield f"{name}: expected a plain file, found a link, a folder or a device"
        elif not 0 < found[name].st_size <= most:
            yield f"{name}: expected 1 to {most} bytes, found {found[name].st_size}"


def _read_predictions(
    path: Path, verdict: Verdict, reference: AnswerKey, reason: str | None
) -> Iterator[str]:
    """`reason`: why a process of its own could not read them."""
    if reason is not None:
        yield f"{PREDICTIONS_FILE}: {reason}"
        return
    result, reference = verdict.result, reference.only(claims.used_corpora(verdict.result))
    settings, schema = rescoring.settings_of(result), SCHEMAS[result.schema.name]
    table = predictions.read(path / PREDICTIONS_FILE)
    problems = [
        f"{PREDICTIONS_FILE}: {problem}"
        for problem in rows.problems(table, result, settings, reference)
    ]
    yield from problems
    if problems:
        return
    scores = scoring.scores(table.to_pandas(), settings, schema)
    yield from _score_problems(scores, result.scores)
    verdict.result = dataclasses.replace(result, scores=scores)
    verdict.warnings += _warnings(verdict.submission, reference)


def _score_problems(expected: list[Score], found: list[Score]) -> Iterator[str]:
    if len(expected) != len(found):
        yield f"{RESULT_FILE}: scores: expected {len(expected)} rows, found {len(found)}"
        return
    names = [one.name for one in dataclasses.fields(Score)]
    other = [
        (place, name, getattr(ours, name), getattr(theirs, name))
        for place, (ours, theirs) in enumerate(zip(expected, found, strict=True))
        for name in names
        if not _equal(getattr(ours, name), getattr(theirs, name))
    ]
    for place, name, ours, theirs in other[:MAX_SAID]:
        where = f"{RESULT_FILE}: scores[{place}].{name}"
        yield (
            f"{where}: expected {short(ours)} (computed from the predictions), found "
            f"{short(theirs)}"
        )
    if len(other) > MAX_SAID:
        yield f"{RESULT_FILE}: scores: {len(other) - MAX_SAID} more differ"


def _equal(ours: object, theirs: object) -> bool:
    if isinstance(ours, float) and isinstance(theirs, (int, float)):
        return abs(ours - theirs) <= SCORE_TOLERANCE
    return ours == theirs


def _warnings(statement: Submission, reference: AnswerKey) -> Iterator[str]:
    if reference.unlabelled:
        yield (
            f"labels of {', '.join(reference.unlabelled)} are held against a hash: their licences "
            "keep them out of the file"
        )
    if statement.trained_on is None:
        yield "what the model was trained on before is not declared"
    for cell, corpora in (statement.contamination or {}).items():
        if corpora:
            yield f"{cell}: the model was trained on {', '.join(corpora)} before"
