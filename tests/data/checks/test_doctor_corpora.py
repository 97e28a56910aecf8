"""The doctor tells malformed corpora, defects of every true copy and wrong roots apart."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimotion.corpora import CORPORA
from bimotion.data.checks import doctor
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusNotFound
from bimotion.io.progress import Progress
from tests.support.healthy_corpus import VICTIM, WHERE, clip, diagnosis, facts, noise


def flip(path):
    """A FLAC whose header is whole and whose samples are not."""
    path.unlink()
    path = path.with_suffix(".flac")
    noise(path, seed=1001, n_samples=44100, format="FLAC")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


REPEATED = (
    "Neg_female_36",
    "Neg_female_6",
    "Neg_female_69",
    "Pos_female_40",
    "Pos_female_43",
    "Pos_female_52",
    "Pos_female_57",
    "Pos_female_59",
)


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
    fault, csed_root, bimotion, monkeypatch
):
    noise(csed_root / "CREMA-D" / "AudioWAV" / "1001_DFA_ANG_XX.wav", 0, rate=16000)
    expected = fault(csed_root, monkeypatch)
    code, shown, complaint = bimotion("data", "stats", "--corpora", csed_root, "--json")
    counts = {
        (line["corpus"], line["cell"]): line["found"]
        for line in json.loads(shown)
        if line["table"] == 1
    }
    assert code == 1
    assert counts["csed", "zho_eld"] == [200, 52, 400]
    assert counts["crema_d", "eng_eld"] == [0, 0, 0]
    assert re.match(r"\w+: malformed, so not counted: ", complaint)
    assert expected in complaint
    for command in ("stats", "audit"):
        assert bimotion("data", command, "--corpora", csed_root, "--allow-missing")[0] == 0


def test_what_to_do_about_a_malformed_corpus_is_said(csed_root, bimotion):
    noise(csed_root / "CREMA-D" / "AudioWAV" / "1001_DFA_ANG_XX.wav", 0, rate=16000)
    for command, ways in {
        "data audit": ["--allow-missing", "--only"],
        "labels export x.json.gz": ["--only"],
    }.items():
        code, _, complaint = bimotion(*command.split(), "--corpora", csed_root)
        assert code == 2
        assert "expected VideoDemographics.csv" in complaint
        assert [way for way in ("--allow-missing", "--only") if way in complaint] == ways, command
    (csed_root / "lab__model" / "0123456789ab").mkdir(parents=True)
    (csed_root / "lab__model" / "0123456789ab" / "submission.json").touch()
    assert bimotion("leaderboard", "verify", csed_root, "--labels", "nowhere.json.gz") == (
        2,
        "",
        "bimotion: nowhere.json.gz: expected a labels file (JSON, gzip), found: nothing\n",
    )


def test_sound_that_only_listening_finds_broken(csed_root, bimotion):
    flip(clip(csed_root, VICTIM))
    assert diagnosis(csed_root, listen=False).problems == []
    found = diagnosis(csed_root)
    ((kind, where, detail),) = facts(found.problems)
    assert (kind, where) == ("unreadable", f"csed/{VICTIM}")
    assert f"{VICTIM}.flac: expected sound" in detail
    assert found.state == "incomplete"
    assert bimotion("data", "doctor", csed_root, "--no-listen")[0] == 0
    assert bimotion("data", "doctor", csed_root)[0] == 1


def test_defects_of_every_true_copy_and_second_copies_do_not_count(csed_root, bimotion):
    firsts = {
        stem: f"{stem.rpartition('_')[0]}_{80 + number}"
        for number, stem in enumerate(REPEATED, start=1)
    }
    for stem, first in firsts.items():
        shutil.copy(clip(csed_root, first), clip(csed_root, stem))
    copy = csed_root / "CSED" / "again" / "and again" / f"{VICTIM}.wav"
    copy.parent.mkdir(parents=True)
    shutil.copy(clip(csed_root, VICTIM), copy)
    found = diagnosis(csed_root)
    assert found.problems == []
    copies = [
        ("duplicate", *(f"csed/{one}" for one in sorted(pair, reverse=True)))
        for pair in firsts.items()
    ]
    copies = sorted((kind, second, f"of {first}") for kind, second, first in copies)
    assert sorted(facts(found.harmless)) == [
        ("copy", f"again/and again/{VICTIM}.wav", f"of {WHERE}"),
        *copies,
    ]
    assert found.state == "complete"
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
    seeds = {
        "1076_MTI_SAD_XX": 0,
        "1017_IWW_ANG_XX": 4,
        "1017_IWW_FEA_XX": 4,
        "1017_IWW_HAP_XX": 5,
        "1017_IWW_SAD_XX": 5,
    }
    for stem, seed in seeds.items():
        noise(crema / "AudioWAV" / f"{stem}.wav", seed, rate=16000)
    soundfile.write(crema / "AudioWAV" / "1076_MTI_SAD_XX.wav", np.zeros(3000), 16000)
    (crema / "VideoDemographics.csv").write_text("ActorID,Age,Sex\n1076,25,Female\n1017,42,Male\n")
    heard, told = diagnosis(tmp_path, "crema_d"), diagnosis(tmp_path, "tess")
    assert facts(heard.harmless) == [("silent", "crema_d/1076_MTI_SAD_XX", "peak 0.000000")]
    unknown = [finding for finding in facts(heard.problems) if finding[0] != "missing"]
    assert unknown == [  # in every true copy or not: one of the two labels is wrong
        ("contradicting", "crema_d/1017_IWW_FEA_XX", "of crema_d/1017_IWW_ANG_XX"),
        ("contradicting", "crema_d/1017_IWW_SAD_XX", "of crema_d/1017_IWW_HAP_XX"),
    ]
    assert {(kind, Path(where).stem) for kind, where, _ in facts(told.harmless)} == {
        ("aiff", "YAF_germ_angry"),
        ("rate", "OAF_food_fear"),
    }
    assert [Path(where).stem for kind, where, _ in facts(told.problems) if kind != "missing"] == [
        "YAF_neat_fear"
    ]


def test_corpus_that_cannot_be_read_is_malformed_and_the_others_are_still_seen(csed_root, bimotion):
    noise(csed_root / "CREMA-D" / "AudioWAV" / "1001_DFA_ANG_XX.wav", 0, rate=16000)
    for name in ("TESS", "TESS copy"):
        noise(csed_root / name / "OAF_back_angry.wav", 0, rate=24414)
    found = {
        found.corpus: found
        for found in doctor.diagnose(CorpusSource.of(csed_root), Progress(), listen=False)
    }
    assert {name: found[name].state for name in ("crema_d", "csed", "tess")} == {
        "crema_d": "malformed",
        "csed": "complete",
        "tess": "malformed",
    }
    ((kind, _, detail),) = facts(found["crema_d"].problems)
    assert kind == "malformed"
    assert "expected VideoDemographics.csv" in detail
    assert "found two: TESS and TESS copy" in found["tess"].problems[0].detail
    assert bimotion("data", "doctor", csed_root, "--no-listen")[0] == 1
    assert (
        diagnosis(csed_root, "tess", listen=False, locations={"tess": csed_root / "TESS"}).state
        == "incomplete"
    )


def test_wrong_root(tmp_path, bimotion):
    with pytest.raises(CorpusNotFound):
        doctor.diagnose(CorpusSource.of(tmp_path / "nowhere"), Progress())
    for root, said in {tmp_path: "it is empty", tmp_path / "nowhere": "found nothing at"}.items():
        code, shown, complaint = bimotion("data", "doctor", root)
        assert (code, shown) == (2, "")
        assert complaint.startswith("bimotion: expected ")
        assert said in complaint
        assert complaint.count("\n") == 1


def test_exit_codes_and_json_of_the_command(csed_root):
    command = [sys.executable, "-m", "bimotion", "data", "doctor", "--json"]
    healthy = subprocess.run([*command, csed_root], capture_output=True, text=True)
    clip(csed_root, VICTIM).unlink()
    damaged = subprocess.run([*command, csed_root], capture_output=True, text=True)
    wrong = subprocess.run([*command, csed_root / "nowhere"], capture_output=True, text=True)
    assert [done.returncode for done in (healthy, damaged, wrong)] == [0, 1, 2], (
        healthy.stderr,
        damaged.stderr,
    )
    assert wrong.stdout == ""
    assert "Traceback" not in wrong.stderr
    for done, n_clips, state in ((healthy, 652, "complete"), (damaged, 651, "incomplete")):
        read = {found["corpus"]: found for found in json.loads(done.stdout)}
        assert set(read) == set(CORPORA)
        assert (read["csed"]["n_utterances"], read["csed"]["state"]) == (n_clips, state)
    assert read["csed"]["problems"] == [
        {"kind": "missing", "corpus": "csed", "where": f"csed/{VICTIM}", "detail": ""}
    ]


def test_corpus_that_is_not_where_the_user_says(whole_csed, tmp_path, bimotion):
    code, shown, complaint = bimotion(
        "data", "doctor", whole_csed, "--corpus", f"tess={tmp_path}", "--no-listen"
    )
    assert code in (1, 2)
    assert str(tmp_path) in shown + complaint


def test_corpus_that_does_not_exist(whole_csed, tmp_path, bimotion):
    code, _, complaint = bimotion(
        "data", "doctor", whole_csed, "--corpus", f"tezz={tmp_path}", "--no-listen"
    )
    assert code == 2
    assert "unknown corpus 'tezz'" in complaint


def test_doctor_on_the_real_corpora(shared_corpora, untouched):
    with untouched(shared_corpora):
        found = {
            found.corpus: found
            for found in doctor.diagnose(CorpusSource.of(shared_corpora), Progress())
        }
    assert {
        name: one.n_utterances for name, one in found.items() if name in ("crema_d", "csed", "tess")
    } == {
        "crema_d": 1,
        "csed": 264,
        "tess": 185,
    }
    contradicting = ["Neg_female_36", "Neg_female_6", "Pos_female_57"]
    assert [(kind, where) for kind, where, _ in sorted(facts(found["csed"].harmless))] == [
        ("duplicate", f"csed/{stem}") for stem in sorted(set(REPEATED) - set(contradicting))
    ]
    assert sorted(
        finding.where for finding in found["csed"].problems if finding.kind == "contradicting"
    ) == [f"csed/{stem}" for stem in contradicting]
    known = {(kind, Path(where).stem) for kind, where, _ in facts(found["tess"].harmless)}
    assert known == {
        (kind, name.partition("/")[2]) for name, kind in CORPORA["tess"].card.known.items()
    }
    assert len(known) == 3
    for name, n_here in {"csed": 264, "tess": 185, "crema_d": 1, "elderreact": 0}.items():
        kinds = Counter(finding.kind for finding in found[name].problems)
        n_missing = CORPORA[name].card.n_utterances - n_here
        assert kinds == {"missing": n_missing} | ({"contradicting": 3} if name == "csed" else {}), (
            name
        )
    # parts of its tables are there, under other names
    assert found["yuemotion"].state == "malformed"
    assert found["esd"].state == found["iemocap"].state == "not found"
