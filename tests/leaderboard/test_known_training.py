"""Names in a statement that nobody knows, and known training data that no statement names."""

import dataclasses
import json
import unicodedata
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimotion.leaderboard import board, export, known_training, lookalikes
from bimotion.leaderboard.contamination import corpora_meant
from bimotion.leaderboard.data_set_names import listed, rows
from bimotion.leaderboard.known_training import DATA_SETS_FILE, MODELS_FILE, not_recognised
from bimotion.leaderboard.known_training import known_training as known_of
from bimotion.results import record
from tests.support.boards import only
from tests.support.command_line import run_here as bimotion
from tests.support.drafts import Draft, received

DATA_SETS = [
    name for row in rows(DATA_SETS_FILE) for name in (row["name"], *listed(row["aliases"]))
]
SUPERB = "superb/hubert-large-superb-er"


@pytest.mark.parametrize("file", [DATA_SETS_FILE, MODELS_FILE])
def test_every_row_has_its_source_once(file):
    table, first = rows(file), "name" if file == DATA_SETS_FILE else "model"
    names = [row[first].casefold() for row in table]
    assert names == sorted(set(names))
    for row in table:
        assert all(value == (value or "").strip() for value in row.values()), row
        assert urlsplit(row["source"]).scheme == "https"
        assert lookalikes.is_plain("".join(row.values()))


def test_no_known_data_set_is_one_of_our_corpora():
    assert {name: corpora_meant(name) for name in DATA_SETS if corpora_meant(name)} == {}
    assert not_recognised(DATA_SETS) == []


def test_what_known_models_were_trained_on_is_recognised():
    for row in rows(MODELS_FILE):
        assert row["model"].count("/") == 1
        assert not_recognised(listed(row["trained_on"])) == [], row
        assert listed(row["trained_on"])


WRITTEN = """LibriSpeech (960 h); librispeech_asr; LIBRI-LIGHT; libri_light; Common Voice 11.0
common_voice; mozilla-foundation/common_voice_11_0; VoxCeleb1/2; VoxPopuli v2; MLS; AudioSet-2M
ＭＳＰ－Ｐｏｄｃａｓｔ; MSP-PODCAST 1.11; WenetSpeech-L; AISHELL-1; aishell2; GigaSpeech XL; RAVDESS
МЕLD; SAVEE dataset; IEM0CAP; Emotional Speech Dataset (English part); URDU; EmoBox; ASVP-ESD
https://huggingface.co/datasets/user/iemocap; huggingface.co/datasets/user/iemocap/tree/main
CREMA-D (https://github.com/CheyneyComputerScience/CREMA-D); hf://datasets/user/iemocap
Common Voice 17.0 (zh-HK); FLEURS yue_hant_hk; CREMA-D, fine-tuned; LibriTTS-R; half of RAVDESS song
Toronto Emotional Speech Set (TESS), University of Toronto"""
UNKNOWN = """DreamVoices-9000; user/my-private-emotions; internal call centre data; YouTube; Ravdezz
Libri; speech; 情感; Common; Vox; data; ...; LibriSpeak"""


@pytest.mark.parametrize("name", WRITTEN.replace("\n", "; ").split("; "))
def test_data_sets_are_recognised_as_people_write_them(name):
    assert not_recognised([name]) == []


@pytest.mark.parametrize("name", UNKNOWN.replace("\n", "; ").split("; "))
def test_what_is_no_data_set_is_not_recognised(name):
    assert not_recognised([name]) == [name]


BESIDE = {  # a known name does not hide what stands beside it
    "IEMOCAP and my secret set": "my secret",
    "secret-set + iemocap": "secret",
    "IEMOCAPandmysecretset": "iemocapandmysecretset",
    "IEMOCAPdataofmysecretset": "iemocapdataofmysecretset",
    "CREMA-D (train), DreamVoices-9000 and ESD": "dreamvoices",
    "user/LibriSpeech-with-DreamVoices": "dreamvoices",
    "LibriSpeech, dream/voices": "dream voices",
    "IEMOCAP" + " data" * 50 + " secret": "secret",
    "ＩＥＭＯＣＡＰ ａｎｄ ѕесrеt": "secret",
    "ESD and others": "others",
    "https://huggingface.co/datasets/user/iemocap and secret": "secret",
    "https://secret.example/x/y and IEMOCAP": "y",
    "LibriSpeech, https://huggingface.co/datasets/user/secret_set": "secret",
    "CREMA-D, University of Secret": "secret",
    "IEMOCAP secretzhhk": "secretzhhk",
    "Common Voice zh-HK, my hk voices": "my voices",
}


@pytest.mark.parametrize(("name", "left"), BESIDE.items())
def test_a_known_name_hides_nothing_beside_it(name, left):
    assert not_recognised([name]) == [f"{left} (beside what is known)"]


FULL_WIDTH = {letter: letter + 0xFEE0 for letter in range(0x21, 0x7F)}
ALIKE = str.maketrans("aceopxyABCEHIKMOPTXY", "асеорхуАВСЕНІКМОРТХУ")
STYLES = [str.upper, str.lower, str.swapcase, str.title]
STYLES += [lambda name: name.translate(FULL_WIDTH), lambda name: name.translate(ALIKE)]
STYLES += [lambda name: unicodedata.normalize("NFD", name), lambda name: name.replace("-", "_")]


@given(
    st.sampled_from([*DATA_SETS, "IEMOCAP", "CREMA-D", "ElderReact"]),
    st.lists(st.sampled_from(STYLES), max_size=3),
    st.sampled_from(["", "user/", "the ", "  "]),
    st.sampled_from(["", " train", "-v2", " (all)", "_dataset", ", 960 h"]),
)
def test_no_spelling_changes_what_a_name_means(name, styles, before, after):
    written = name
    for style in styles:
        written = style(written)
    assert not_recognised([f"{before}{written}{after}"]) == []
    assert corpora_meant(written) == corpora_meant(name)


@given(st.lists(st.text(max_size=300), max_size=40))
def test_any_names_give_a_bounded_list_of_them(names):
    shown = not_recognised(names)
    assert sum(map(len, shown)) <= known_training.MAX_SHOWN + 20
    assert all(name in names or "(beside what is known)" in name for name in shown[:-1])


def test_many_unknown_names_are_cut_and_counted():
    names = [f"mystery-{number:04}" for number in range(1000)]
    shown = not_recognised(names)
    assert shown[:-1] == names[: len(shown) - 1]
    assert shown[-1] == f"and {1000 - len(shown) + 1} more"


# --- on a board ---------------------------------------------------------------------------------


@pytest.fixture
def entry_of(evaluated, known, tmp_path):
    """The entry of a verified submission of a model whose statement says so much."""

    def entry_of(model, trained_on, organisation=None):
        draft = Draft(evaluated(cells=["eng_adu"]))
        draft.result["model"]["name"] = model
        for score in draft.result["scores"]:  # whose reasons speak of a baseline's seed
            score["reason"] = None
        draft.rescored()
        draft.statement |= {
            "organisation": organisation or model.partition("/")[0],
            "trained_on": trained_on,
            "contamination": None if trained_on is None else {"eng_adu": _tested(trained_on)},
        }
        verdict, _ = received(draft.write(tmp_path / "submissions"), known, baseline=False)
        assert verdict.ok, verdict.problems
        for name in trained_on or ():
            is_told = f"trained_on: not recognised: {name}" in verdict.warnings
            assert is_told == bool(not_recognised([name]))
        return only(tmp_path / "submissions")

    return entry_of


def _tested(trained_on):
    meant = {corpus for name in trained_on for corpus in corpora_meant(name)}
    return sorted(meant & {"crema_d", "esd", "iemocap", "tess"})


def test_a_silent_statement_of_a_known_model_is_filled_in(entry_of):
    entry = entry_of(SUPERB, None)
    assert (entry.trained_on, entry.flags.undeclared) == (None, True)
    assert entry.known_training == known_of(SUPERB)
    assert entry.flags.not_declared == ["IEMOCAP"]
    assert entry.flags.contaminated == {"eng_adu": ["iemocap"]}


def test_a_contradiction_is_shown_and_counts(entry_of):
    entry = entry_of(SUPERB, ["LibriSpeech"])
    assert (entry.flags.undeclared, entry.flags.not_declared) == (False, ["IEMOCAP"])
    assert entry.flags.contaminated == {"eng_adu": ["iemocap"]}
    table = export.export(dataclasses.replace(_board_of(entry)), "csv")
    assert "known, not declared: IEMOCAP" in table


def _board_of(entry):
    return board.Board(entries=[entry], comparable=[], references=[], human=[], excluded=[])


def test_what_is_declared_in_any_spelling_is_no_contradiction(entry_of):
    entry = entry_of(SUPERB, ["ＩＥＭ０ＣＡＰ 4-class", "DreamVoices-9000", "AISHELL-2"])
    assert entry.flags.not_declared == []
    assert entry.flags.contaminated == {"eng_adu": ["iemocap"]}
    assert entry.not_recognised == ["DreamVoices-9000"]
    assert "not recognised: DreamVoices-9000" in export.export(_board_of(entry), "csv")


@pytest.mark.parametrize(
    ("model", "organisation", "is_known"),
    [
        ("SuperB/HuBERT-Large-Superb-ER", None, True),
        ("hubert-large-superb-er", "superb", True),
        ("hubert-large-superb-er", "lab", False),
        ("lab/hubert-large-superb-er", None, False),
        ("superb/hubert-large-superb-er2", None, False),
    ],
)
def test_models_are_known_by_their_name_on_the_hub_only(entry_of, model, organisation, is_known):
    entry = entry_of(model, [], organisation)
    assert (entry.known_training is not None) == is_known
    assert bool(entry.flags.contaminated) == is_known


def test_a_submitter_is_told_before_anything_is_sent(run):
    asked = ("submit", run, "--trained-on", "LibriSpeech,DreamVoices-9000", "--dry-run")
    done = bimotion(*asked)
    assert done.returncode == 0, done.stderr
    assert "note: trained_on: not recognised: DreamVoices-9000\n" in done.stderr


HOSTILE = {
    "an organisation that is none": {"organisation": 7},
    "a path": {"organisation": "../superb"},
    "a long one": {"organisation": "x" * 100_000},
}


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_statements_are_read_without_harm(alone, root, statement):
    folder = alone()
    path = folder / record.RESULT_FILE
    result = record.load(path)
    model = dataclasses.replace(result.model, name="hubert-large-superb-er")
    result = dataclasses.replace(result, model=model)
    dataclasses.replace(result, key=result.spec.key).save(folder)
    (folder / "submission.json").write_text(json.dumps(statement))
    folder.parent.rename(root / "org__hubert-large-superb-er")
    entry = only(root)
    assert (entry.known_training, entry.flags.status) == (None, "claimed")
