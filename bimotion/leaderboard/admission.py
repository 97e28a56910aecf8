"""Admission to a leaderboard: which results, which names, and what a page can show."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from bimotion.corpora import CORPORA
from bimotion.data import splits
from bimotion.data.rules import n_folds
from bimotion.errors import RecordError, SettingError
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.leaderboard import lookalikes, stated
from bimotion.protocol.settings import TRACKS
from bimotion.results import record
from bimotion.results.record import RESULT_FILE, Result

MAX_SHOWN = 50_000
MAX_PARAMETERS = 10**15
RESERVED = "bimotion"
"""Organisation of the baselines, which nobody but the keeper enters."""
BASELINES = ("bimotion/majority", "bimotion/prosody", "bimotion/random")
"""Models of this package: any speech model should beat them."""
PRACTICE = "made with --practice: verify with --practice"
_COMMIT = re.compile("[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
"""Of an organisation or a model, as the Hub takes them: nothing that a path or a shell reads
otherwise."""


def is_for_practice(path: Path) -> bool:
    """Return whether a submission, or a run, is one that only --practice takes; False where its
    record cannot be read, which `verify` tells."""
    file = path / RESULT_FILE
    try:
        if file.is_symlink() or not file.is_file():
            return False
        result = record.load(file)
    except (OSError, RecordError):
        return False
    return why_not_taken(result) is not None and why_not_taken(result, practice=True) is None


def why_not_taken(result: Result, practice: bool = False) -> str | None:
    """Say why no leaderboard takes a result; None where one would.

    Args:
        result: of a finished run.
        practice: take any corpora.
    """
    if reason := why_never_ranked(result):
        return reason
    if result.limit is not None:
        return f"expected all clips, found a run with limit {result.limit}: run it again without"
    if practice:
        return None
    if result.data.synthetic:
        return "expected real corpora, found synthetic data (made by `bimotion data synth`)"
    if not result.data.complete:
        incomplete = [
            f"{name} ({used.n_found} of {used.n_published} clips)"
            for name, used in result.data.corpora.items()
            if not used.complete
        ]
        return f"expected complete corpora, found {', '.join(incomplete) or 'none'}"
    if result.skipped:
        return (
            f"expected every setting to be run, found {len(result.skipped)} skipped: "
            f"{result.skipped[0].reason}"
        )
    return None


def why_never_ranked(result: Result) -> str | None:
    """Say that a result is of another version of the numbers than ours, or of a protocol that no
    board has; None where it is not."""
    if result.protocol.name == "leakage":
        return "protocol leakage tests half of the clips, for `bimotion compare`: no board has it"
    if (version := result.split.version) == NUMBERS_VERSION:
        return None
    return (
        f"expected numbers version {NUMBERS_VERSION}, found {version!r:.40}: results of two "
        "versions are never ranked together; run it again with this bimotion"
    )


def why_not_shown(result: Result) -> str | None:
    """Say why a page cannot show a result as it was sent; None where it can: names of what we have
    only, printable texts of at most MAX_SHOWN characters in all, numbers within bounds, also of
    what nobody checks (stated.py)."""
    return next(_display_problems(result), None)


def _display_problems(result: Result) -> Iterator[str]:
    for where, known, names in (
        ("track", TRACKS, [result.track]),
        ("split.rule", splits.RULES, [result.split.rule]),
        ("data.corpora", CORPORA, result.data.corpora),
    ):
        if unknown := [name for name in names if name not in known]:
            yield f"{where}: expected one of {', '.join(known)}, found {unknown[0]!a:.80}"
    folds, n = result.split.folds, n_folds(result.split.rule)
    if folds not in (range(1, n + 1) if n > 1 else (None,)):
        yield f"split.folds: expected {f'1 to {n}' if n > 1 else 'null'}, found {folds!r:.40}"
    texts = _shown_texts(result)
    for where, text in texts.items():
        if not lookalikes.is_plain(text):
            yield f"{where!a:.80}: expected one line of printable characters, found {text!a:.80}"
    if (n_shown := sum(map(len, texts.values()))) > MAX_SHOWN:
        longest = max(texts, key=lambda where: len(texts[where]))
        yield (
            f"expected at most {MAX_SHOWN} characters in revision, options, device and so on; "
            f"found {n_shown}, {longest!a:.80}"
        )
    window = result.model.options.get("window", "clip")  # stands among the marks of an entry
    if window != "clip" and not (isinstance(window, int | float) and 0 < window < math.inf):
        yield f"model.options.window: expected clip or seconds, found {window!a:.80}"
    yield from stated.problems(result)
    if not 0 <= (n := result.n_parameters or 0) <= MAX_PARAMETERS:
        yield f"n_parameters: expected null or a number from 0 to {MAX_PARAMETERS}, found {n!r:.40}"


def full_name(model: str, organisation: str | None) -> str:
    """The name of a model with its organisation, which is given where its own name has none.

    >>> full_name("lab/x", None), full_name("x", "lab"), full_name("x", None)
    ('lab/x', 'lab/x', 'x')
    """
    return model if "/" in model or not organisation else f"{organisation}/{model}"


def why_no_commit(result: Result) -> str | None:
    """Say why nobody can tell which weights of a model of the Hub a run had; None: its revision is
    a commit, it is a baseline, or a model whose name is no repository's.

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(name="facebook/wav2vec2-base", revision="refs/pr/7")
    >>> why_no_commit(SimpleNamespace(model=model))[:58]
    'model.revision: expected a commit of facebook/wav2vec2-bas'
    """
    model = result.model
    if "/" not in model.name or model.name in BASELINES:
        return None
    if _COMMIT.fullmatch(model.revision or ""):
        return None
    shown = "none" if model.revision is None else repr(model.revision)[:80]
    return (
        f"model.revision: expected a commit of {model.name:.80} (40 of 0-9 and a-f), found "
        f"{shown}: a branch moves, and anybody can open a pull request (refs/pr/...) on another's "
        "repository"
    )


def _shown_texts(result: Result) -> dict[str, str]:
    """Place -> text, of all texts of a result that a page shows as they were sent."""
    provenance, options = result.provenance, result.model.options
    adapt = vars(result.adapt) if result.adapt else {}
    return {
        "model.revision": result.model.revision or "",
        "model.version": result.model.version,
        "provenance.device": provenance.device,
        "provenance.finished": provenance.finished,
        "provenance.versions.bimotion": provenance.versions.get("bimotion", ""),
        "data.fingerprint": result.data.fingerprint,
        **{f"adapt.{name}": str(value) for name, value in adapt.items()},
        **{f"model.options.{name}": f"{name} {value}" for name, value in options.items()},
    }


def organisation_of(model: str, organisation: str | None) -> str:
    """The organisation of a model: named before its `/`, else as given.

    Raises:
        SettingError: for none, for two, and for names that are no safe folder.

    >>> organisation_of("lab/model", None), organisation_of("Model", "lab")
    ('lab', 'lab')
    """
    named, slash, name = model.rpartition("/")
    if not (_is_safe(name) and (_is_safe(named) or not slash)):
        raise SettingError(
            "model: expected a name (or organisation/name) of letters, digits, '.', '_' and '-', "
            f"found {model!r:.80}"
        )
    if not slash and organisation is None:
        raise SettingError(
            f"model {model} names no organisation: say whose it is (organisation=..., "
            "--organisation)"
        )
    if not slash and not _is_safe(organisation):
        raise SettingError(
            f"organisation: expected letters, digits, '.', '_' and '-', found {organisation!r:.80}"
        )
    if slash and organisation not in (None, named):
        raise SettingError(
            f"organisation: expected {named}, as the model's name says, found {organisation!r:.80}"
        )
    # a/b__c and a__b/c would lie in one folder
    if "__" in (whose := named if slash else organisation):
        raise SettingError(
            "organisation: expected a name without '__', which ends it in a folder's name, found "
            f"{whose!r:.80}"
        )
    return whose


def _is_safe(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and ".." not in name and "--" not in name


def is_reserved(organisation: str) -> bool:
    """Return whether an organisation is called like this package, or can be mistaken for it.

    >>> is_reserved("Bi-M0tion"), is_reserved(" bimotion."), is_reserved("lab")
    (True, True, False)
    """
    return re.sub(r"[\W_]", "", lookalikes.skeleton(organisation)) == lookalikes.skeleton(RESERVED)


def restricted(result: Result) -> list[str]:
    """Corpora of a result whose licences let nobody publish their labels: its predictions hold the
    labels of test clips."""
    return [
        name
        for name, used in result.data.corpora.items()
        if used.n_utterances and CORPORA[name].card.redistribution == "nothing"
    ]
