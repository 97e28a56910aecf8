"""The doctor tells damage from the defects of every true copy; the audit finds what parts share."""

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

from bimotion import cli
from bimotion.analysis import compare
from bimotion.analysis.report.caveats import caveats
from bimotion.analysis.report.scorebook import scorebook
from bimotion.corpora import CORPORA
from bimotion.corpora.utterance import PARTS
from bimotion.data import manifest, rosters, splits
from bimotion.data.checks import doctor
from bimotion.data.checks.audit import Shared, audit
from bimotion.errors import CorpusNotFound
from bimotion.evaluation import run as runner
from bimotion.io.progress import Progress

FOLDER = "Training Data (wav)"
VICTIM, TWIN = "Nat_male_7", "Nat_male_8"
VICTIM_IS_ODD = list(rosters.load("csed")["stem"]).index(VICTIM) % 2
RATE_HZ = 44100


def noise(path, seed, n_samples=3000, rate=RATE_HZ, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    loudness = np.interp(
        np.arange(n_samples), np.linspace(0, n_samples, 12), generator.uniform(0, 1, 12) ** 2
    )
    # with a shape in time, as speech has one
    samples = 0.2 * loudness * generator.standard_normal(n_samples)
    soundfile.write(path, samples, rate, **{"format": "WAV", "subtype": "PCM_16"} | how)


@pytest.fixture(scope="module")
def whole_csed(tmp_path_factory):
    """Root with a complete, healthy CSED: all 652 names, no two clips alike."""
    root = tmp_path_factory.mktemp("whole")
    for seed, stem in enumerate(rosters.load("csed")["stem"]):
        noise(
            root / "CSED" / FOLDER / f"{stem}.wav",
            seed,
            n_samples=3000 + 50 * (seed % 2 != VICTIM_IS_ODD),
        )
    return root


@pytest.fixture
def csed_root(whole_csed, tmp_path):
    """A copy of the healthy CSED, to be damaged."""
    return Path(shutil.copytree(whole_csed, tmp_path / "root"))


def clip(root, stem):
    return root / "CSED" / FOLDER / f"{stem}.wav"


def diagnosis(root, corpus="csed", **options):
    (found,) = [
        found for found in doctor.diagnose(root, Progress(), **options) if found.corpus == corpus
    ]
    return found


def facts(findings):
    return [(finding.kind, finding.where, finding.detail) for finding in findings]


@pytest.fixture
def bimotion(monkeypatch, capsys):
    """The command line in this process: arguments -> exit code, standard output, standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["bimotion", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as exit:
            code = exit.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


# --- doctor -------------------------------------------------------------------------------------


def test_healthy_corpus(whole_csed, untouched, bimotion):
    with untouched(whole_csed):
        found = diagnosis(whole_csed)
        code, shown, _ = bimotion("data", "doctor", whole_csed)
    assert (found.state, found.n_utterances, found.n_published) == ("complete", 652, 652)
    assert found.problems == found.harmless == []
    assert found.folder == str((whole_csed / "CSED").resolve())
    assert code == 0
    assert "complete" in shown
    others = [other for other in doctor.diagnose(whole_csed, Progress()) if other.corpus != "csed"]
    optional = {other.corpus for other in others if other.state == "optional, not found"}
    assert optional == {"emo_db", "shemo", "urdu"}
    assert {other.state for other in others if other.corpus not in optional} == {"not found"}
    assert "optional: emo_db, shemo, urdu: for protocol extension alone" in " ".join(shown.split())
    assert {other.corpus for other in others} == set(CORPORA) - {"csed"}
    assert all(CORPORA[other.corpus].card.url in shown for other in others)


def test_all_true_names_are_complete(true_tree, true_manifest):
    for found in doctor.diagnose(true_tree, Progress(), listen=False):
        assert (found.corpus, found.state, found.n_utterances) == (
            found.corpus,
            "complete",
            found.n_published,
        )
        assert found.problems == found.harmless == []


def remove(path):
    path.unlink()


def flip(path):
    """A FLAC whose header is whole and whose samples are not."""
    path.unlink()
    path = path.with_suffix(".flac")
    noise(path, seed=1001, n_samples=44100, format="FLAC")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


WHERE = f"{FOLDER}/{VICTIM}.wav"
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
"""Of the 264 real clips, those with the samples of another one."""
DAMAGE = {  # what is done to a clip -> kind, where, part of the detail; state of the corpus
    "missing": (remove, f"csed/{VICTIM}", "", "incomplete"),
    "empty": (lambda path: path.write_bytes(b""), WHERE, "0 bytes", "incomplete"),
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[:900]),
        WHERE,
        "header announces 6044 bytes",
        "incomplete",
    ),
    "pointer": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        WHERE,
        "text",
        "incomplete",
    ),
    "unreadable": (lambda path: path.write_text("<html>403</html>" * 9), WHERE, "", "incomplete"),
    "conflict": (
        lambda path: noise(path.parent / "old" / path.name, 1003, 4000),
        f"csed/{VICTIM}",
        "old/",
        "incomplete",
    ),
    "rate": (lambda path: noise(path, 1005, rate=22050), WHERE, "22050 Hz, expected 44100", "odd"),
    "aiff": (lambda path: noise(path, 1005, format="AIFF"), WHERE, "", "odd"),
    "silent": (
        lambda path: soundfile.write(path, np.zeros(1900), RATE_HZ),
        f"csed/{VICTIM}",
        "peak 0.000000",
        "odd",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage(csed_root, untouched, bimotion, kind):
    spoil, where, detail, state = DAMAGE[kind]
    spoil(clip(csed_root, VICTIM))
    with untouched(csed_root):
        found = diagnosis(csed_root)
        code, shown, _ = bimotion("data", "doctor", csed_root)
    ((seen_kind, seen_where, seen_detail),) = facts(found.problems)
    assert (seen_kind, seen_where) == (kind, where)
    assert detail in seen_detail
    assert found.harmless == []
    assert found.state == state
    assert found.n_utterances == (652 if state == "odd" else 651)
    assert code == 1
    assert f"csed: 1 {kind} (" in shown
    assert where in shown


CHANGED = {  # what is made of another clip -> part of the detail
    "louder": (lambda samples: samples * 2, "gain +6.0 dB, shift +0.000 s"),
    "softer, by far": (lambda samples: samples / 16, "gain -24.1 dB, shift +0.000 s"),
    "upside down": (lambda samples: -samples, "gain +0.0 dB, shift +0.000 s"),
    "later": (lambda samples: np.pad(samples, (RATE_HZ // 10, 0)), "gain +0.0 dB, shift +0.100 s"),
    "earlier": (
        lambda samples: np.pad(samples, (0, RATE_HZ // 10)),
        "gain +0.0 dB, shift +0.000 s",
    ),
    "with an offset": (lambda samples: samples + 0.1, "gain +0.0 dB, shift +0.000 s"),
    "softer, cut and later": (
        lambda samples: np.pad(samples[300:] / 3, (4000, 900)),
        "gain -9.6 dB, shift +0.084 s",
    ),
}


@pytest.mark.parametrize("change", CHANGED)
def test_one_recording_but_for_gain_or_shift(tmp_path, change):
    folder = tmp_path / "CSED" / FOLDER
    folder.mkdir(parents=True)
    for seed in range(30):
        noise(folder / f"Nat_male_{seed + 1}.wav", seed, n_samples=RATE_HZ // 2 + seed)
    made, detail = CHANGED[change]
    samples, _ = soundfile.read(folder / "Nat_male_7.wav")
    soundfile.write(folder / "Nat_male_99.wav", made(samples), RATE_HZ, subtype="PCM_16")
    found = [
        finding for finding in facts(diagnosis(tmp_path).problems) if finding[0] == "near duplicate"
    ]
    assert found == [("near duplicate", "csed/Nat_male_99", f"of csed/Nat_male_7: {detail}")]


def test_of_several_alike_each_but_the_first_counts_once(tmp_path):
    for seed in (1, 2):
        noise(tmp_path / "CSED" / FOLDER / f"Nat_male_{seed}.wav", seed, n_samples=RATE_HZ // 2)
    samples, _ = soundfile.read(clip(tmp_path, "Nat_male_1"))
    for number in (3, 4, 5):
        soundfile.write(
            clip(tmp_path, f"Nat_male_{number}"), samples / number, RATE_HZ, subtype="PCM_16"
        )
    diagnosis(tmp_path)
    assert doctor.oddities("csed", manifest.build(tmp_path)) == {"near duplicate": 3}


def test_implausible_clips_and_lengths_are_told_and_carried_by_a_result(csed_root, tmp_path):
    soundfile.write(clip(csed_root, VICTIM), np.full(900, 0.25), RATE_HZ)
    soundfile.write(clip(csed_root, TWIN), 0.1 * np.ones(100) * np.arange(100) / 100, RATE_HZ)
    noise(clip(csed_root, "Nat_male_9"), 2000, n_samples=61 * RATE_HZ)
    shutil.copy(clip(csed_root, "Nat_male_10"), clip(csed_root, "Neg_male_10"))
    options = {"data_dir": csed_root, "only": ["csed"], "protocol": "in-group"}
    before = runner.evaluate("bimotion/majority", output=tmp_path / "before", **options)
    assert before.data.corpora["csed"].oddities == {"long": 1, "short": 2}
    kinds = sorted((kind, where) for kind, where, _ in facts(diagnosis(csed_root).problems))
    assert kinds == [
        ("constant", f"csed/{VICTIM}"),
        ("contradicting", "csed/Neg_male_10"),
        ("long", "csed/Nat_male_9"),
        ("short", f"csed/{VICTIM}"),
        ("short", f"csed/{TWIN}"),
    ]
    after = runner.evaluate("bimotion/majority", output=tmp_path / "after", **options)
    assert after.data.corpora["csed"].oddities == {
        "constant": 1,
        "contradicting": 1,
        "long": 1,
        "short": 2,
    }
    [run] = compare.load([after.folder(tmp_path / "after")])
    [caveat] = [one for one in caveats(run, scorebook(run)) if one.name == "Odd clips"]
    assert caveat.numbers == ("csed: 1 constant, 1 contradicting, 1 long, 2 short",)


def test_a_corpus_of_one_length(tmp_path):
    for number in range(1, 31):
        noise(
            tmp_path / "CSED" / FOLDER / f"Nat_male_{number}.wav",
            number,
            n_samples=RATE_HZ // (1 + (number == 1)),
        )
    found = [finding for finding in facts(diagnosis(tmp_path).problems) if finding[0] != "missing"]
    assert found == [("one length", "CSED", "29 of 30 clips have 1.000 s")]


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
    found = {found.corpus: found for found in doctor.diagnose(csed_root, Progress(), listen=False)}
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
        doctor.diagnose(tmp_path / "nowhere", Progress())
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


# --- audit --------------------------------------------------------------------------------------


def two_of(part, other):
    """A CSED clip of each of two parts."""
    parts = rosters.load("csed")["paper"]
    return parts.index[parts == part][0].partition("/")[2], parts.index[parts == other][
        -1
    ].partition("/")[2]


@pytest.mark.parametrize(
    "pair", [("train", "test"), ("train", "validation"), ("validation", "test")]
)
def test_audit_finds_equal_audio_in_two_parts(csed_root, untouched, pair):
    first, second = two_of(*pair)
    shutil.copy(clip(csed_root, first), clip(csed_root, second))
    with untouched(csed_root):
        found = audit(manifest.build(csed_root), "paper", Progress())
    equal = " = ".join(sorted((f"csed/{first}", f"csed/{second}")))
    assert found.shared == [Shared("csed", "audio", pair, [equal])]
    assert audit(manifest.build(csed_root), "paper", Progress(), listen=False).shared == []


def test_audit_knows_equal_audio_in_another_container(csed_root):
    first, second = two_of("train", "test")
    samples, rate = soundfile.read(clip(csed_root, first), dtype="int16")
    clip(csed_root, second).unlink()
    soundfile.write(clip(csed_root, second).with_suffix(".flac"), samples, rate)
    (shared,) = audit(manifest.build(csed_root), "paper", Progress()).shared
    assert (shared.what, shared.parts) == ("audio", ("train", "test"))


def test_audit_does_not_mind_equal_audio_within_a_part(csed_root):
    parts = rosters.load("csed")["paper"]
    first, second = (name.partition("/")[2] for name in parts.index[parts == "train"][:2])
    shutil.copy(clip(csed_root, first), clip(csed_root, second))
    assert audit(manifest.build(csed_root), "paper", Progress()).shared == []


def test_audit_counts_every_clip_once(whole_csed):
    found = audit(manifest.build(whole_csed), "paper", Progress(), listen=False)
    assert [(count.part, count.cell, count.n_utterances) for count in found.cells] == [
        (part, "zho_eld", size)
        for part, size in zip(PARTS, splits.PAPER_SIZES["csed", "zho_eld"], strict=True)
    ]
    for count in found.cells:
        assert (count.n_speakers, count.n_speaker_unknown) == (0, count.n_utterances)
        assert count.age_source == {"assumed": count.n_utterances}
        assert sum(count.emotions.values()) == count.n_utterances
        assert count.hours == pytest.approx(count.n_utterances * 3000 / RATE_HZ / 3600, abs=1e-4)
    assert found.not_disjoint == {"csed": "speakers are not published"}
    assert found.together == {}


def test_audit_of_speakers_and_sentences_under_both_rules(true_manifest):
    paper, disjoint = (
        audit(true_manifest, rule, Progress(), listen=False) for rule in splits.RULES
    )
    speakers = {
        rule: {shared.corpus: shared for shared in found.shared if shared.what == "speaker"}
        for rule, found in zip(splits.RULES, (paper, disjoint), strict=True)
    }
    assert set(speakers["paper"]) == {"crema_d", "esd", "iemocap", "tess", "yuemotion"}
    assert set(speakers["disjoint"]) == {"tess"}
    assert speakers["disjoint"]["tess"].names == ["tess/OAF", "tess/YAF"]
    assert len(speakers["paper"]["esd"].names) == 20
    sentences = {
        (shared.corpus, shared.parts) for shared in paper.shared if shared.what == "sentence"
    }
    assert ("crema_d", ("train", "test")) in sentences
    assert "esd" not in {corpus for corpus, _ in sentences}  # the official split is by sentence
    assert ("esd", ("train", "test")) in {
        (s.corpus, s.parts) for s in disjoint.shared if s.what == "sentence"
    }
    assert sum(count.n_utterances for count in paper.cells) == len(true_manifest.table)
    assert "angry+disgust" in paper.together  # ElderReact marks several
    assert set(disjoint.not_disjoint) == {"csed", "elderreact", "tess"}


def test_audit_command(csed_root, bimotion):
    first, second = two_of("train", "test")
    shutil.copy(clip(csed_root, first), clip(csed_root, second))
    code, shown, _ = bimotion("data", "audit", "--corpora", csed_root, "--json")
    read = json.loads(shown)
    assert code == 0
    assert read["split_rule"] == "paper"
    assert [(shared["what"], shared["parts"]) for shared in read["shared"]] == [
        ("audio", ["train", "test"])
    ]
    assert sum(count["n_utterances"] for count in read["cells"]) == 652
    code, shown, _ = bimotion("data", "audit", "--corpora", csed_root)
    assert code == 0
    assert f"csed/{min(first, second)} = csed/{max(first, second)}" in shown
    assert "csed: speakers are not kept apart: speakers are not published" in shown


# --- the real sound -----------------------------------------------------------------------------


def test_doctor_on_the_real_corpora(shared_corpora, untouched):
    with untouched(shared_corpora):
        found = {found.corpus: found for found in doctor.diagnose(shared_corpora, Progress())}
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
