"""The doctor tells malformed corpora, defects of every true copy and wrong roots apart."""

import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimotion.corpora import CORPORA
from bimotion.data.checks import doctor
from bimotion.data.source import CorpusSource
from bimotion.io.progress import Progress
from tests.support.healthy_corpus import VICTIM, WHERE, clip, diagnosis, facts, noise

REPEATED = [
    f"Neg_female_{number}" if number in (36, 6, 69) else f"Pos_female_{number}"
    for number in (36, 6, 69, 40, 43, 52, 57, 59)
]


@pytest.fixture
def with_bad_crema_d(csed_root):
    """The healthy CSED, beside a CREMA-D without its table."""
    noise(csed_root / "CREMA-D" / "AudioWAV" / "1001_DFA_ANG_XX.wav", 0, rate=16000)
    return csed_root


def no_table(root, monkeypatch):
    return "expected VideoDemographics.csv"


def a_table_that_cannot_be_read(root, monkeypatch):
    if not Path("/proc/self/mem").is_file():
        pytest.skip("no file here that root cannot read either")
    (root / "CREMA-D/VideoDemographics.csv").symlink_to("/proc/self/mem")
    return "VideoDemographics.csv: expected a file that can be read, found: Input/output error"


def two_folders(root, monkeypatch):
    shutil.copytree(root / "CREMA-D", root / "more")
    return "found two: CREMA-D and more; say which: --corpus crema_d="


def a_video_without_its_extra(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    folder = root / "ElderReact" / "Annotations"
    folder.mkdir(parents=True)
    for part in ("train", "dev", "test"):
        (folder / f"{part}_labels.txt").write_text(f"{part}_1.mp4 0 1 1 0 0 1 f 1.6\n")
        (folder.parent / f"{part}_1.mp4").write_bytes(b"x")
    shutil.rmtree(root / "CREMA-D")
    return "bimotion[video]"


@pytest.mark.parametrize(
    "fault", [no_table, a_table_that_cannot_be_read, two_folders, a_video_without_its_extra]
)
def test_one_malformed_corpus_does_not_silence_the_counts_of_others(
    fault, with_bad_crema_d, bimotion, monkeypatch
):
    root = with_bad_crema_d
    expected = fault(root, monkeypatch)
    code, shown, complaint = bimotion(
        "data", "stats", "--corpora", root, "--split-rule", "paper", "--json"
    )
    lines = [line for line in json.loads(shown) if line["table"] == 1]
    counts = {(line["corpus"], line["cell"]): line["found"] for line in lines}
    assert code == 1
    assert counts["csed", "zho_eld"] == [200, 52, 400]
    assert counts["crema_d", "eng_eld"] == [0, 0, 0]
    assert re.match(r"\w+: malformed, so not counted: ", complaint)
    assert expected in complaint
    for command in ("stats", "audit"):
        assert bimotion("data", command, "--corpora", root, "--allow-missing")[0] == 0


def test_what_to_do_about_a_malformed_corpus_is_said(with_bad_crema_d, bimotion):
    root = with_bad_crema_d
    for command, ways in {
        "data audit": ["--allow-missing", "--only"],
        "labels export x.json.gz": ["--only"],
    }.items():
        code, _, complaint = bimotion(*command.split(), "--corpora", root)
        assert code == 2
        assert "expected VideoDemographics.csv" in complaint
        assert [way for way in ("--allow-missing", "--only") if way in complaint] == ways, command


def test_sound_that_only_listening_finds_broken(csed_root, bimotion):
    """A FLAC whose header is whole and whose samples are not."""
    clip(csed_root, VICTIM).unlink()
    path = clip(csed_root, VICTIM).with_suffix(".flac")
    noise(path, seed=1001, n_samples=44100, format="FLAC")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    assert diagnosis(csed_root, listen=False).problems == []
    csed = diagnosis(csed_root)
    ((kind, where, detail),) = facts(csed.problems)
    assert (kind, where) == ("unreadable", f"csed/{VICTIM}")
    assert f"{VICTIM}.flac: expected sound" in detail
    assert csed.state == "incomplete"
    assert bimotion("data", "doctor", csed_root, "--no-listen")[0] == 0
    assert bimotion("data", "doctor", csed_root)[0] == 1


def test_defects_of_every_true_copy_and_second_copies_do_not_count(csed_root, bimotion):
    expected = []
    for number, stem in enumerate(REPEATED, start=1):
        first = f"{stem.rpartition('_')[0]}_{80 + number}"
        shutil.copy(clip(csed_root, first), clip(csed_root, stem))
        second, first = sorted((f"csed/{first}", f"csed/{stem}"), reverse=True)
        expected.append(("duplicate", second, f"of {first}"))
    copy = csed_root / "CSED" / "again" / "and again" / f"{VICTIM}.wav"
    copy.parent.mkdir(parents=True)
    shutil.copy(clip(csed_root, VICTIM), copy)
    csed = diagnosis(csed_root)
    assert csed.problems == []
    expected.append(("copy", f"again/and again/{VICTIM}.wav", f"of {WHERE}"))
    assert sorted(facts(csed.harmless)) == sorted(expected)
    assert csed.state == "complete"
    # two labels: listed, and no fault of the copy
    shutil.copy(clip(csed_root, "Nat_male_10"), clip(csed_root, "Neg_male_10"))
    code, shown, _ = bimotion("data", "doctor", csed_root)
    assert code == 0
    assert "csed: harmless: 8 duplicate" in shown
    assert "csed: 1 contradicting" in shown


def test_known_defects_by_path_and_by_name(tmp_path):
    """TESS's are known of files, CREMA-D's of what is heard in them."""
    tess = tmp_path / "TESS"
    noise(tess / "YAF_angry" / "YAF_germ_angry.wav", 1, rate=24414, format="AIFF")
    noise(tess / "OAF_Fear" / "OAF_food_fear.wav", 2, rate=96000)
    # known as AIFF, not of another rate
    noise(tess / "YAF_fear" / "YAF_neat_fear.wav", 3, rate=96000)
    crema = tmp_path / "CREMA-D"
    for stem, seed in {"ANG": 4, "FEA": 4, "HAP": 5, "SAD": 5}.items():
        noise(crema / "AudioWAV" / f"1017_IWW_{stem}_XX.wav", seed, rate=16000)
    soundfile.write(crema / "AudioWAV" / "1076_MTI_SAD_XX.wav", np.zeros(3000), 16000)
    (crema / "VideoDemographics.csv").write_text("ActorID,Age,Sex\n1076,25,Female\n1017,42,Male\n")
    heard, seen = diagnosis(tmp_path, "crema_d"), diagnosis(tmp_path, "tess")
    assert facts(heard.harmless) == [
        ("silent", "crema_d/1076_MTI_SAD_XX", "peak 0.000000"),
        ("converted", "CREMA-D", "5 of 5 files"),
    ]
    unknown = [finding for finding in facts(heard.problems) if finding[0] != "missing"]
    assert unknown == [  # in every true copy or not: one of the two labels is wrong
        ("contradicting", "crema_d/1017_IWW_FEA_XX", "of crema_d/1017_IWW_ANG_XX"),
        ("contradicting", "crema_d/1017_IWW_SAD_XX", "of crema_d/1017_IWW_HAP_XX"),
    ]
    known = {(kind, Path(where).stem) for kind, where, _ in facts(seen.harmless)}
    kinds = {("aiff", "YAF_germ_angry"), ("rate", "OAF_food_fear"), ("converted", "TESS")}
    assert known == kinds
    odd = [Path(where).stem for kind, where, _ in facts(seen.problems) if kind != "missing"]
    assert odd == ["YAF_neat_fear"]


def test_corpus_that_cannot_be_read_is_malformed_and_the_others_are_still_seen(
    with_bad_crema_d, bimotion
):
    root = with_bad_crema_d
    for name in ("TESS", "TESS copy"):
        noise(root / name / "OAF_back_angry.wav", 0, rate=24414)
    seen = {
        state.corpus: state
        for state in doctor.diagnose(CorpusSource.of(root), Progress(), listen=False)
    }
    states = [seen[name].state for name in ("crema_d", "csed", "tess")]
    assert states == ["malformed", "complete", "malformed"]
    ((kind, _, detail),) = facts(seen["crema_d"].problems)
    assert kind == "malformed"
    assert "expected VideoDemographics.csv" in detail
    assert "found two: TESS and TESS copy" in seen["tess"].problems[0].detail
    assert bimotion("data", "doctor", root, "--no-listen")[0] == 1
    tess = diagnosis(root, "tess", listen=False, locations={"tess": root / "TESS"})
    assert tess.state == "incomplete"


@pytest.mark.parametrize(("folder", "reason"), [("", "it is empty"), ("no", "found nothing at")])
def test_wrong_root(tmp_path, bimotion, folder, reason):
    code, shown, complaint = bimotion("data", "doctor", tmp_path / folder)
    assert (code, shown) == (2, "")
    assert complaint.startswith("bimotion: expected ")
    assert reason in complaint
    assert complaint.count("\n") == 1


def test_exit_codes_and_json_of_the_command(csed_root, bimotion):
    def read():
        code, shown, _ = bimotion("data", "doctor", "--json", "--no-listen", csed_root)
        seen = {state["corpus"]: state for state in json.loads(shown)}
        assert set(seen) == set(CORPORA)
        csed = seen["csed"]
        return code, csed["n_utterances"], csed["state"], csed["problems"]

    assert read() == (0, 652, "complete", [])
    clip(csed_root, VICTIM).unlink()
    missing = {"kind": "missing", "corpus": "csed", "where": f"csed/{VICTIM}", "detail": ""}
    assert read() == (1, 651, "incomplete", [missing])


@pytest.mark.parametrize("name", ["tess", "tezz"])
def test_corpus_that_is_not_where_the_user_says(whole_csed, tmp_path, bimotion, name):
    where = ("--corpus", f"{name}={tmp_path}", "--no-listen")
    code, _, complaint = bimotion("data", "doctor", whole_csed, *where)
    assert code == 2
    assert (str(tmp_path) if name == "tess" else "unknown corpus 'tezz'") in complaint


def test_doctor_on_the_real_corpora(shared_corpora, untouched):
    with untouched(shared_corpora):
        diagnoses = doctor.diagnose(CorpusSource.of(shared_corpora), Progress())
    seen = {state.corpus: state for state in diagnoses}
    contradicting = ["Neg_female_36", "Neg_female_6", "Pos_female_57"]
    assert [(kind, where) for kind, where, _ in sorted(facts(seen["csed"].harmless))] == [
        ("duplicate", f"csed/{stem}") for stem in sorted(set(REPEATED) - set(contradicting))
    ]
    problems = [(kind, where) for kind, where, _ in facts(seen["csed"].problems)]
    assert sorted(where for kind, where in problems if kind == "contradicting") == [
        f"csed/{stem}" for stem in contradicting
    ]
    known = {(kind, Path(where).stem) for kind, where, _ in facts(seen["tess"].harmless)}
    named = CORPORA["tess"].card.known.items()
    assert known == {(kind, name.partition("/")[2]) for name, kind in named}
    assert len(known) == 3
    for name, n_here in {"csed": 264, "tess": 185, "crema_d": 1, "elderreact": 0}.items():
        kinds = Counter(finding.kind for finding in seen[name].problems)
        missing = {"missing": CORPORA[name].card.n_utterances - n_here}
        assert kinds == missing | ({"contradicting": 3} if name == "csed" else {}), name
        assert seen[name].n_utterances == n_here
    # parts of its tables are there, under other names
    assert seen["yuemotion"].state == "malformed"
    assert seen["esd"].state == seen["iemocap"].state == "not found"
