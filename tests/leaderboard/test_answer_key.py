"""References: what a run takes from the disk, told again from corpora and from a labels file that
names nobody."""

import gzip
import json

import pandas as pd
import pytest

from bimotion.corpora import CORPORA
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import CorpusIncomplete, RecordError, SettingError
from bimotion.evaluation import plan as planning
from bimotion.evaluation.task import TaskSpec
from bimotion.io.progress import Progress
from bimotion.leaderboard import answer_key
from bimotion.leaderboard.answer_key import AnswerKey, marks_hash, marks_text, speaker_hash
from bimotion.protocol.labels import SCHEMAS

WITHHELD = ["emo_db", "esd", "iemocap", "shemo", "urdu"]


@pytest.fixture(scope="module")
def known(true_tree):
    """Of all corpora of the true tree."""
    return AnswerKey.of_corpora(CorpusSource.of(true_tree))


@pytest.fixture(scope="module")
def file(known, tmp_path_factory):
    """The labels file of the true tree."""
    return answer_key.export(known, tmp_path_factory.mktemp("labels") / "labels.json.gz")


@pytest.fixture(scope="module")
def read(file):
    """What the labels file says."""
    return answer_key.load(file)


PROTOCOLS = {"emotion": ("all", 36), "valence": ("all", 36), "four": ("extension", 12)}
"""Schema -> protocol that is scored under it, and its settings."""


@pytest.fixture(
    scope="module",
    params=[(rule, schema) for rule in ("paper", "disjoint") for schema in SCHEMAS],
    ids="-".join,
)
def plan(request, true_tree):
    """Material and plan of a whole protocol, as a run makes them."""
    rule, schema = request.param
    protocol = PROTOCOLS[schema][0]
    return planning.plan(
        TaskSpec.of(protocol=protocol, split_rule=rule, schema=schema),
        CorpusSource.of(true_tree),
        Progress(),
    )


# --- the same as a run takes --------------------------------------------------------------------


def test_test_clips_are_those_of_a_run(plan, known, read):
    labelled, found = plan
    rule = labelled.selection.split.rule
    assert len(found.settings) == PROTOCOLS[labelled.schema.name][1]
    for setting in found.settings:
        rows = labelled.places([setting.test], "test", setting.corpora)
        table = labelled.table.loc[rows]
        clips = known.test_clips(rule, labelled.schema, setting.test, setting.corpora)
        assert clips.index.tolist() == table["id"].tolist()
        assert clips["corpus"].tolist() == table["corpus"].tolist()
        assert clips["cell"].tolist() == table["cell"].tolist()
        assert clips["marks"].tolist() == marks_text(labelled.reference[rows])
        speakers = [None if pd.isna(name) else speaker_hash(name) for name in table["speaker"]]
        assert clips["speaker"].tolist() == speakers
        of_file = read.test_clips(rule, labelled.schema, setting.test, setting.corpora)
        told = ~of_file["corpus"].isin(WITHHELD)
        pd.testing.assert_frame_equal(of_file[told], clips[~clips["corpus"].isin(WITHHELD)])
        assert of_file.loc[~told, "marks"].isna().all()
        assert set(of_file.index) >= set(clips.index)


def test_counts_and_hashes_are_those_of_a_run(plan, known, read):
    labelled, _ = plan
    rule, table = labelled.selection.split.rule, labelled.table
    assert read.deals == known.deals
    for (corpus, cell), rows in table.groupby(["corpus", "cell"]):
        deal = known.deals_of(rule, labelled.schema.name, cell, [corpus])[corpus]
        assert deal.n == rows["part"].value_counts().to_dict()
        assert deal.age_source == rows["age_source"].value_counts().to_dict()
        positive = (labelled.reference[rows.index[rows["part"] == "train"]] == 1).any(axis=0)
        assert deal.trained == [
            name for name, found in zip(labelled.schema.classes, positive, strict=True) if found
        ]
        test = rows.index[rows["part"] == "test"]
        assert deal.marks == marks_hash(
            zip(table["id"][test], marks_text(labelled.reference[test]), strict=True)
        )


def test_fingerprint_is_that_of_a_run(plan, known, read):
    labelled, found = plan
    cells = {cell for setting in found.settings for cell in (*setting.train, setting.test)}
    asked = (labelled.selection.split.rule, labelled.schema, cells, found.corpora)
    expected = manifest.fingerprint(labelled.table)
    assert (known.fingerprint(*asked), read.fingerprint(*asked)) == (expected, expected)


def test_a_file_has_fingerprints_of_whole_protocols_only(known, read):
    asked = ("paper", SCHEMAS["emotion"], ["eng_eld"], ["tess"])
    assert known.fingerprint(*asked) is not None
    assert read.fingerprint(*asked) is None


# --- what a labels file tells -------------------------------------------------------------------


def test_a_labels_file_names_no_speaker_and_no_withheld_label(file, known, true_manifest):
    text = gzip.decompress(file.read_bytes()).decode()
    content = json.loads(text)
    assert known.withheld == WITHHELD
    for corpus, block in content["corpora"].items():
        labelled = CORPORA[corpus].card.redistribution != "nothing"
        assert block["labels"] == labelled
        assert bool(block["columns"]["emotions"].strip("\n")) == labelled
        assert block["columns"]["id"].count("\n") == CORPORA[corpus].card.n_utterances - 1
    speakers = set(true_manifest.table["speaker"].dropna())
    assert len(speakers) > 100
    assert not [name for name in speakers if f'"{name}"' in text or f"\\n{name}\\n" in text]


def test_speakers_still_go_together(read, true_manifest):
    speakers = true_manifest.table.set_index("id")["speaker"].dropna()
    hashes = read.table["speaker"].dropna()
    assert sorted(hashes.index) == sorted(speakers.index)
    assert (
        len(set(zip(hashes, speakers[hashes.index], strict=True)))
        == hashes.nunique()
        == speakers.nunique()
    )


def test_the_same_bytes_each_time(known, file, tmp_path):
    again = answer_key.export(known, tmp_path / "again.json.gz")
    assert again.read_bytes() == file.read_bytes()
    assert file.stat().st_size < 2**20


def test_a_file_of_a_file_is_the_same(read, file, tmp_path):
    assert answer_key.export(read, tmp_path / "again.json.gz").read_bytes() == file.read_bytes()


def test_one_wrong_mark_or_clip_changes_the_hash(known):
    clips = known.test_clips("paper", SCHEMAS["valence"], "zho_adu", ["esd"])
    pairs = list(zip(clips.index, clips["marks"], strict=True))
    found = known.deals_of("paper", "valence", "zho_adu")["esd"].marks
    assert marks_hash(pairs) == marks_hash(pairs[::-1]) == found
    name, marks = pairs[0]
    assert (
        found not in {marks_hash(pairs[1:]), marks_hash([(name, marks[::-1]), *pairs[1:]])}
        or marks == marks[::-1]
    )


# --- what is refused ----------------------------------------------------------------------------


def test_incomplete_corpora_are_refused_but_for_practice(shared_corpora, tmp_path):
    with pytest.raises(CorpusIncomplete, match="expected complete corpora") as raised:
        AnswerKey.of_corpora(CorpusSource.of(shared_corpora, only=["tess", "csed"]))
    assert "--only" in str(raised.value)
    assert "--allow-missing" not in str(raised.value)  # no option of theirs
    practice = AnswerKey.of_corpora(
        CorpusSource.of(shared_corpora, only=["tess", "csed"], allow_missing=True)
    )
    assert 0 < len(practice.test_clips("paper", SCHEMAS["emotion"], "zho_eld")) < 400
    with pytest.raises(SettingError, match="real and complete corpora, found one for practice"):
        answer_key.export(practice, tmp_path / "labels.json.gz")
    assert list(tmp_path.iterdir()) == []


def test_synthetic_corpora_are_refused_but_for_practice(tmp_path):
    layouts.write(tmp_path, scale=0.02, seed=0, corpora=["csed"])
    with pytest.raises(SettingError, match="expected real corpora, found synthetic ones: csed"):
        AnswerKey.of_corpora(CorpusSource.of(tmp_path))
    assert AnswerKey.of_corpora(CorpusSource.of(tmp_path, allow_missing=True)).practice


def content_of(file, change):
    content = json.loads(gzip.decompress(file.read_bytes()))
    change(content)
    return gzip.compress(json.dumps(content).encode(), compresslevel=1)


def replaced(name, old, new):
    """A change of one column of CSED."""
    return columns(lambda found: found.update({name: found[name].replace(old, new)}))


def columns(change):
    """A change of the columns of CSED."""
    return lambda content: change(content["corpora"]["csed"]["columns"])


BREACHES = {
    "later version": (
        lambda c: c.update(reference_version=2),
        "expected reference_version 1, found 2",
    ),
    "other split": (lambda c: c.update(split_version="2"), "expected split and schema versions"),
    "other schema": (
        lambda c: c["schema_versions"].update(valence="0"),
        "expected split and schema versions",
    ),
    "field too many": (lambda c: c.update(note=""), "labels.note: unexpected field"),
    "field missing": (lambda c: c.pop("manifest"), "labels.manifest: expected this field"),
    "no corpora": (lambda c: c.update(corpora={}), "found none or two of one id"),
    "unknown corpus": (
        lambda c: c["corpora"].update(ravdess=c["corpora"]["csed"]),
        "unknown corpus 'ravdess'",
    ),
    "column missing": (columns(lambda c: c.pop("speaker")), "csed.columns: expected id, speaker"),
    "row too many": (
        columns(lambda c: c.update(speaker=c["speaker"] + "\n")),
        "expected as many values in each",
    ),
    "id twice": (replaced("id", "csed/Nat_female_2\n", "csed/Nat_female_1\n"), "two of one id"),
    "id of another corpus": (replaced("id", "csed", "tess"), "ids that begin with csed/"),
    "id with a path": (
        columns(lambda c: c.update(id="../" + c["id"])),
        "ids that begin with csed/, found '../csed",
    ),
    "unknown emotion": (replaced("emotions", "neutral", "calm"), "unknown emotion 'calm'"),
    "unknown cell": (replaced("cell_paper", "eld", "old"), "unknown cell 'zho_old'"),
    "unknown part": (replaced("part_paper", "test", "dev"), "unknown part 'dev'"),
    "labels denied": (
        lambda c: c["corpora"]["csed"].update(labels=False),
        "expected no emotions where labels is false",
    ),
    "deal of nothing": (
        lambda c: c.update(deals={"a/b": c["deals"]["csed/paper/emotion/zho_eld"]}),
        "corpus/rule/schema/cell",
    ),
    "deal of no part": (
        lambda c: c["deals"]["csed/paper/emotion/zho_eld"]["n"].update(dev=1),
        "expected counts of parts",
    ),
    "negative count": (
        lambda c: c["deals"]["csed/paper/emotion/zho_eld"]["n"].update(test=-1),
        "expected counts of parts",
    ),
    "text for a count": (
        lambda c: c["deals"]["csed/paper/emotion/zho_eld"]["n"].update(test="1"),
        "expected a valid integer, found '1'",
    ),
}


@pytest.mark.parametrize(("change", "message"), BREACHES.values(), ids=list(BREACHES))
def test_a_breach_is_refused_by_name(change, message, file, tmp_path):
    (tmp_path / "labels.json.gz").write_bytes(content_of(file, change))
    with pytest.raises(RecordError, match=message) as error:
        answer_key.load(tmp_path / "labels.json.gz")
    assert str(error.value).startswith(str(tmp_path))
    assert len(str(error.value)) < len(str(tmp_path)) + 600


NOT_LABELS = {
    "empty": b"",
    "plain JSON": b"{}",
    "half": gzip.compress(b"{" + b" " * 9999)[:20],
    "damaged": gzip.compress(bytes(range(256)) * 20)[:-12] + b"x" * 12,
    "not JSON": gzip.compress(b"labels"),
    "a list": gzip.compress(b"[]"),
    "deep": gzip.compress(b"[" * 200_000),
    "not UTF-8": gzip.compress(b'{"reference_version": "\xff"}'),
}


@pytest.mark.parametrize("content", NOT_LABELS.values(), ids=list(NOT_LABELS))
def test_what_is_no_labels_file_is_refused(content, tmp_path):
    (tmp_path / "labels.json.gz").write_bytes(content)
    with pytest.raises(RecordError, match=r"labels\.json\.gz: expected"):
        answer_key.load(tmp_path / "labels.json.gz")


def test_a_bomb_is_refused(tmp_path):
    with gzip.open(tmp_path / "labels.json.gz", "wb", compresslevel=1) as bomb:
        for _ in range(answer_key.MAX_TEXT_BYTES // 2**20 + 1):
            bomb.write(b" " * 2**20)
    with pytest.raises(RecordError, match=f"{answer_key.MAX_TEXT_BYTES} unpacked; found more"):
        answer_key.load(tmp_path / "labels.json.gz")


def test_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(RecordError, match="expected a labels file"):
            answer_key.load(path)
