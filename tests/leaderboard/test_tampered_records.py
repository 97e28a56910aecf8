"""Records that say another run are refused with their reason."""

import pytest

from tests.support.drafts import check_refused, kept, said, verdicts_of


def asked(*path, to):
    """Another value in result.json."""

    def tamper(draft):
        inner = draft.result
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to(inner[path[-1]]) if callable(to) else to

    return tamper


def renamed(name):
    def tamper(draft):
        draft.result["model"]["name"] = name

    return tamper


TAMPERED_RECORDS = {
    # scores and key
    "score": (asked("scores", 0, "value", to=0.99), "scores[0].value: expected 0."),
    "score a little": (
        asked("scores", 0, "value", to=lambda value: value + 1e-6),
        "scores[0].value",
    ),
    "score removed": (asked("scores", 0, "value", to=None), "scores[0].value"),
    "interval": (asked("scores", 0, "low", to=0.5), "scores[0].low"),
    "speakers counted": (asked("scores", 0, "n_speakers", to=91), "scores[0].n_speakers"),
    "score row removed": (asked("scores", to=lambda rows: rows[1:]), "scores: expected"),
    "key": (kept("key", asked("key", to="0" * 12)), "(the hash of its spec), found 000000000000"),
    "spec without its key": (
        kept("key", asked("model", "version", to="2")),
        "(the hash of its spec)",
    ),
    # what was asked
    "limit": (asked("limit", to=6), "expected all clips, found a run with limit 6"),
    "synthetic": (
        asked(
            "data",
            to=lambda data: (
                data
                | {
                    "synthetic": True,
                    "corpora": {
                        name: used | {"synthetic": True} for name, used in data["corpora"].items()
                    },
                }
            ),
        ),
        "found synthetic data",
    ),
    "incomplete": (
        asked(
            "data",
            to=lambda data: (
                data
                | {
                    "complete": False,
                    "corpora": {
                        name: used | {"complete": False} for name, used in data["corpora"].items()
                    },
                }
            ),
        ),
        "expected complete corpora",
    ),
    "incomplete hidden": (
        asked("data", "corpora", "tess", "n_found", to=2000),
        "tess.n_found: expected all 2800, found 2000",
    ),
    "setting skipped": (
        asked(
            "skipped",
            to=[
                {
                    "transfer": "in-group",
                    "method": "inference",
                    "train": ["eng_eld"],
                    "test": "eng_eld",
                    "reason": "lost",
                }
            ],
        ),
        "found 1 skipped: lost",
    ),
    "protocol version": (
        asked("protocol", "version", to="0"),
        "protocol.version: expected '1', found '0'",
    ),
    "split version": (asked("split", "version", to="0"), "split.version: expected '1', found '0'"),
    "split seed": (asked("split", "seed", to=7), "split.seed: expected 0, found 7"),
    "split rule": (asked("split", "rule", to="disjoint"), "expected"),
    "unknown rule": (
        asked("split", "rule", to="mine"),
        "split.rule: expected one of paper, disjoint, found 'mine'",
    ),
    "schema version": (
        asked("schema", "version", to="0"),
        "schema.version: expected '1', found '0'",
    ),
    "classes in another order": (
        asked("schema", "classes", to=lambda names: names[::-1]),
        "schema.classes: expected",
    ),
    "unknown schema": (asked("schema", "name", to="../../x"), "schema.name: expected one of"),
    "unknown protocol": (asked("protocol", "name", to="mine"), "protocol.name: expected one of"),
    "unknown track": (asked("track", to="magic"), "track: expected one of"),
    "another protocol": (asked("protocol", "name", to="inference"), "expected"),
    "more cells": (asked("protocol", "cells", to=["eng_adu", "eng_eld"]), "data.corpora"),
    "cells twice": (
        asked("protocol", "cells", to=["eng_eld", "eng_eld"]),
        "protocol.cells: expected null or names in order",
    ),
    "no cells": (
        asked("protocol", "cells", to=[]),
        "protocol.cells: expected null or names in order",
    ),
    "unknown cell": (asked("protocol", "cells", to=["eng_old"]), "unknown cell 'eng_old'"),
    "cell of another protocol": (
        asked("protocol", "cells", to=["yue_adu"]),
        "protocol.cells: expected cells that",
    ),
    "no seeds": (asked("seeds", to=[]), "seeds: expected 1 to 30"),
    "seeds twice": (asked("seeds", to=[0, 0]), "seeds: expected 1 to 30"),
    "negative seed": (asked("seeds", to=[-1]), "seeds: expected 1 to 30"),
    "too many seeds": (asked("seeds", to=[*range(31)]), "seeds: expected 1 to 30"),
    "negative size": (
        asked("n_parameters", to=-5),
        "n_parameters: expected null or a number from 0",
    ),
    # what it says of its data
    "other data": (asked("data", "fingerprint", to="0" * 16), "data.fingerprint: expected"),
    "ages measured": (
        asked("data", "corpora", "elderreact", "age_source", to={"measured": 1323}),
        "age_source: expected",
    ),
    "speakers apart": (
        asked("data", "corpora", "tess", "speakers_shared", to=None),
        "speakers_shared: expected 'one speaker",
    ),
    "clips counted": (
        asked("data", "corpora", "tess", "n_utterances", to=9),
        "tess.n_utterances: expected 1399, found 9",
    ),
    "published less": (
        asked("data", "corpora", "tess", "n_published", to=9),
        "tess.n_published: expected 2800, found 9",
    ),
    "corpus not told": (
        asked("data", "corpora", to=lambda all: {"tess": all["tess"]}),
        "data.corpora: expected",
    ),
    "corpus too many": (
        asked("data", "corpora", to=lambda all: all | {"x": all["tess"]}),
        "data.corpora: expected",
    ),
    "training clips counted": (
        asked("fits", 0, "n_train", to=1),
        "fits: eng_eld, seed 0: clips: expected",
    ),
    "training not told": (
        asked("fits", to=[]),
        "fits: expected one a training set and seed (1), found 0",
    ),
    # names
    "path in the name": (renamed("../../etc/passwd"), "expected a name (or organisation/name)"),
    "absolute path": (renamed("/etc"), "expected a name (or organisation/name)"),
    "line break in the name": (renamed("bimotion/a\nb"), "expected a name (or organisation/name)"),
    "name of another": (kept("statement", renamed("bimotion/prosody")), "model: expected"),
    "organisation": (
        said("organisation", "lab"),
        "organisation: expected bimotion, as the model's name says, found 'lab'",
    ),
    "organisation with a path": (said("organisation", "a"), "found 'a'"),
}


@pytest.fixture(scope="module")
def verdicts_records(run, known, tmp_path_factory):
    return verdicts_of(TAMPERED_RECORDS, run, known, tmp_path_factory)


@pytest.mark.parametrize(
    ("name", "message"),
    [(name, message) for name, (_, message) in TAMPERED_RECORDS.items()],
    ids=list(TAMPERED_RECORDS),
)
def test_tampered_records_are_refused_with_their_reason(name, message, verdicts_records):
    check_refused(verdicts_records[name], message)
