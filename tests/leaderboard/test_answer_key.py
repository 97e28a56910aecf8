"""Answer keys: what a run takes from the disk, told again from corpora and from a labels file that
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
from bimotion.leaderboard import labels_file
from bimotion.leaderboard.answer_key import AnswerKey, speaker_hash
from bimotion.leaderboard.assignments import labels_hash, labels_text
from bimotion.protocol.labels import SCHEMAS

WITHHELD = ["emo_db", "esd", "iemocap", "shemo", "urdu"]


@pytest.fixture(scope="module")
def known(true_tree, known):
    """The answer key of all corpora, of their true lists only."""
    return known


@pytest.fixture(scope="module")
def file(known, tmp_path_factory):
    """The labels file of the true tree."""
    return labels_file.export(known, tmp_path_factory.mktemp("labels") / "labels.json.gz")


@pytest.fixture(scope="module")
def read(file):
    """The answer key of the labels file."""
    return labels_file.load(file)


PROTOCOLS = {"emotion": ("all", 36), "valence": ("all", 36), "four": ("extension", 12)}
"""Schema -> protocol that is scored under it, and its settings."""


@pytest.fixture(
    scope="module",
    params=[(rule, schema) for rule in ("paper", "disjoint") for schema in SCHEMAS],
    ids="-".join,
)
def planned(request, true_tree):
    """Labelled clips and plan of a whole protocol, as a run makes them."""
    rule, schema = request.param
    task = TaskSpec.of(protocol=PROTOCOLS[schema][0], split_rule=rule, schema=schema)
    return planning.plan(task, CorpusSource.of(true_tree), Progress())


# --- the same as a run takes --------------------------------------------------------------------


def test_test_clips_are_those_of_a_run(planned, known, read):
    labelled, plan = planned
    rule, schema = labelled.selection.split.rule, labelled.schema
    assert len(plan.settings) == PROTOCOLS[schema.name][1]
    for setting in plan.settings:
        rows = labelled.places([setting.test], "test", setting.corpora)
        table = labelled.table.loc[rows]
        clips = known.test_clips(rule, schema, setting.test, setting.corpora)
        assert clips.index.tolist() == table["id"].tolist()
        for name in ("corpus", "cell"):
            assert clips[name].tolist() == table[name].tolist()
        assert clips["labels"].tolist() == labels_text(labelled.reference[rows])
        speakers = [None if pd.isna(name) else speaker_hash(name) for name in table["speaker"]]
        assert clips["speaker"].tolist() == speakers
        of_file = read.test_clips(rule, schema, setting.test, setting.corpora)
        is_given = ~of_file["corpus"].isin(WITHHELD)
        given = clips[~clips["corpus"].isin(WITHHELD)]
        pd.testing.assert_frame_equal(of_file[is_given], given)
        assert of_file.loc[~is_given, "labels"].isna().all()
        assert set(of_file.index) >= set(clips.index)


def test_counts_and_hashes_are_those_of_a_run(planned, known, read):
    labelled, _ = planned
    rule, table, schema = labelled.selection.split.rule, labelled.table, labelled.schema
    assert read.assignments == known.assignments
    for (corpus, cell), rows in table.groupby(["corpus", "cell"]):
        assignment = known.assigned_in(rule, schema.name, cell, [corpus])[corpus]
        assert assignment.n == rows["part"].value_counts().to_dict()
        assert assignment.age_source == rows["age_source"].value_counts().to_dict()
        is_positive = (labelled.reference[rows.index[rows["part"] == "train"]] == 1).any(axis=0)
        pairs = zip(schema.classes, is_positive, strict=True)
        assert assignment.trained == [name for name, positive in pairs if positive]
        test = rows.index[rows["part"] == "test"]
        texts = labels_text(labelled.reference[test])
        assert assignment.labels_hash == labels_hash(zip(table["id"][test], texts, strict=True))


def test_fingerprint_is_that_of_a_run(planned, known, read):
    labelled, plan = planned
    cells = {cell for setting in plan.settings for cell in (*setting.train, setting.test)}
    asked = (labelled.selection.split.rule, labelled.schema, cells, plan.corpora)
    expected = manifest.fingerprint(labelled.table)
    assert (known.fingerprint(*asked), read.fingerprint(*asked)) == (expected, expected)


def test_a_file_has_fingerprints_of_whole_protocols_only(known, read):
    asked = ("paper", SCHEMAS["emotion"], ["eng_eld"], ["tess"])
    assert known.fingerprint(*asked) is not None
    assert read.fingerprint(*asked) is None


# --- what a labels file tells -------------------------------------------------------------------


def test_a_labels_file_names_no_speaker_and_no_withheld_label(file, known, read, true_manifest):
    text = gzip.decompress(file.read_bytes()).decode()
    content = json.loads(text)
    assert labels_file.withheld(known) == WITHHELD
    for corpus, block in content["corpora"].items():
        card = CORPORA[corpus].card
        assert block["labels"] == (card.redistribution != "nothing")
        assert bool(block["columns"]["emotions"].strip("\n")) == block["labels"]
        assert block["columns"]["id"].count("\n") == card.n_utterances - 1
    assert {"marks", "n"} < set(content["deals"]["csed/paper/emotion/zho_eld"])
    names = true_manifest.table.set_index("id")["speaker"].dropna()
    assert names.nunique() > 100
    assert not [name for name in set(names) if f'"{name}"' in text or f"\\n{name}\\n" in text]
    # speakers still go together
    hashes = read.table["speaker"].dropna()
    assert sorted(hashes.index) == sorted(names.index)
    pairs = set(zip(hashes, names[hashes.index], strict=True))
    assert len(pairs) == hashes.nunique() == names.nunique()


def test_the_same_bytes_each_time_also_of_an_answer_key_that_was_read(known, read, file, tmp_path):
    for name, answer_key in (("again", known), ("read", read)):
        again = labels_file.export(answer_key, tmp_path / f"{name}.json.gz")
        assert again.read_bytes() == file.read_bytes()
    assert file.stat().st_size < 2**20


def test_one_wrong_label_or_clip_changes_the_hash(known):
    clips = known.test_clips("paper", SCHEMAS["valence"], "zho_adu", ["esd"])
    pairs = list(zip(clips.index, clips["labels"], strict=True))
    expected = known.assigned_in("paper", "valence", "zho_adu")["esd"].labels_hash
    assert labels_hash(pairs) == labels_hash(pairs[::-1]) == expected
    (name, labels), *rest = pairs
    swapped = labels.translate(str.maketrans("01", "10"))
    assert expected not in {labels_hash(rest), labels_hash([(name, swapped), *rest])}


# --- what is refused ----------------------------------------------------------------------------


def test_incomplete_corpora_are_refused_but_for_practice(shared_corpora, tmp_path):
    asked = {"only": ["tess", "csed"]}
    with pytest.raises(CorpusIncomplete, match="expected complete corpora") as raised:
        AnswerKey.of_corpora(CorpusSource.of(shared_corpora, **asked))
    assert "--only" in str(raised.value)
    assert "--allow-missing" not in str(raised.value)  # no option of theirs
    practice = AnswerKey.of_corpora(CorpusSource.of(shared_corpora, allow_missing=True, **asked))
    assert 0 < len(practice.test_clips("paper", SCHEMAS["emotion"], "zho_eld")) < 400
    with pytest.raises(SettingError, match="real and complete corpora, found one for practice"):
        labels_file.export(practice, tmp_path / "labels.json.gz")
    assert list(tmp_path.iterdir()) == []


def test_synthetic_corpora_are_refused_but_for_practice(tmp_path):
    layouts.write(tmp_path, scale=0.02, seed=0, corpora=["csed"])
    with pytest.raises(SettingError, match="expected real corpora, found synthetic ones: csed"):
        AnswerKey.of_corpora(CorpusSource.of(tmp_path))
    assert AnswerKey.of_corpora(CorpusSource.of(tmp_path, allow_missing=True)).practice


def set_to(*path, value):
    """Another value at a place in the file."""

    def change(content):
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return change


def column(name, change):
    """A change of one column of CSED."""

    def changed(content):
        columns = content["corpora"]["csed"]["columns"]
        columns[name] = change(columns[name])

    return changed


def replaced(name, old, new):
    return column(name, lambda values: values.replace(old, new))


ELDERS = ("deals", "csed/paper/emotion/zho_eld")
IDS = "ids that begin with csed/"
BREACHES = {
    "later version": (
        set_to("reference_version", value=3),
        "reference_version: expected 2, found 3: export it again",
    ),
    "other split": (set_to("split_version", value="3"), "expected split and schema versions"),
    "other schema": (set_to("schema_versions", "valence", value="0"), "expected split and schema"),
    "field too many": (set_to("note", value=""), "labels.note: unexpected field"),
    "field missing": (lambda c: c.pop("manifest"), "labels.manifest: expected this field"),
    "no corpora": (set_to("corpora", value={}), "found none or two of one id"),
    "unknown corpus": (
        lambda c: c["corpora"].update(ravdess=c["corpora"]["csed"]),
        "unknown corpus 'ravdess'",
    ),
    "column missing": (
        lambda c: c["corpora"]["csed"]["columns"].pop("speaker"),
        "csed.columns: expected id, speaker",
    ),
    "column too many": (set_to("corpora", "csed", "columns", "x", value=""), "csed.columns.x"),
    "row too many": (column("speaker", lambda v: v + "\n"), "expected as many values in each"),
    "id twice": (replaced("id", "csed/Nat_female_2\n", "csed/Nat_female_1\n"), "two of one id"),
    "id of another corpus": (replaced("id", "csed", "tess"), IDS),
    "id with a path": (column("id", lambda values: "../" + values), f"{IDS}, found '../csed"),
    "unknown emotion": (replaced("emotions", "neutral", "calm"), "unknown emotion 'calm'"),
    "unknown cell": (replaced("cell_paper", "eld", "old"), "unknown cell 'zho_old'"),
    "unknown part": (replaced("part_paper", "test", "dev"), "unknown part 'dev'"),
    "labels denied": (set_to("corpora", "csed", "labels", value=False), "expected no emotions whe"),
    "of nothing": (
        lambda c: c["deals"].update({"a/b": c["deals"][ELDERS[1]]}),
        "corpus/rule/schema",
    ),
    "of no part": (set_to(*ELDERS, "n", "dev", value=1), "n.dev"),
    "of no class": (set_to(*ELDERS, "trained", value=["calm"]), "unknown class 'calm'"),
    "of no age": (set_to(*ELDERS, "age_source", "guessed", value=1), "age_source.guessed"),
    "negative count": (set_to(*ELDERS, "n", "test", value=-1), "greater than or equal to 0"),
    "text for a count": (set_to(*ELDERS, "n", "test", value="1"), "a valid integer, found '1'"),
}


@pytest.mark.parametrize("name", list(BREACHES))
def test_a_breach_is_refused_by_name(name, file, tmp_path):
    change, message = BREACHES[name]
    content = json.loads(gzip.decompress(file.read_bytes()))
    change(content)
    path = tmp_path / "labels.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode(), compresslevel=1))
    with pytest.raises(RecordError, match=message) as error:
        labels_file.load(path)
    assert str(error.value).startswith(str(tmp_path))
    assert len(str(error.value)) < len(str(tmp_path)) + 600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        gzip.compress(b"{" + b" " * 9999)[:20],
        gzip.compress(bytes(range(256)) * 20)[:-12] + b"x" * 12,
        gzip.compress(b"labels"),
        gzip.compress(b"[]"),
        gzip.compress(b"[" * 200_000),
        gzip.compress(b'{"reference_version": "\xff"}'),
    ],
    ids=["nothing", "plain", "cut", "wrong sum", "text", "list", "deep", "not UTF-8"],
)
def test_what_is_no_labels_file_is_refused(content, tmp_path):
    (tmp_path / "labels.json.gz").write_bytes(content)
    with pytest.raises(RecordError, match=r"labels\.json\.gz: (labels: )?expected"):
        labels_file.load(tmp_path / "labels.json.gz")


def test_a_bomb_and_no_file_are_refused(tmp_path):
    with gzip.open(tmp_path / "labels.json.gz", "wb", compresslevel=1) as bomb:
        for _ in range(labels_file.MAX_TEXT_BYTES // 2**20 + 1):
            bomb.write(b" " * 2**20)
    with pytest.raises(RecordError, match=f"{labels_file.MAX_TEXT_BYTES} unpacked; found more"):
        labels_file.load(tmp_path / "labels.json.gz")
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(RecordError, match="expected a labels file"):
            labels_file.load(path)
