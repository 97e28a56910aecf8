"""The examples, each run as a reader would: with synthetic corpora, no network, no GPU."""

import itertools
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support import reader, true_trees

pytestmark = pytest.mark.examples
ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SYNTHETIC = "SYNTHETIC corpora, ./"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, synth_root):
    """A copy of the examples, beside which they write."""
    path = tmp_path_factory.mktemp("examples") / "examples"
    path.mkdir()
    for file in EXAMPLES.iterdir():
        if file.is_file():
            shutil.copy(file, path)
    for name in ("corpora", "corpora-0"):  # as if made before, which takes ten seconds each
        (path / name).symlink_to(synth_root)
    return path


@pytest.fixture(scope="module")
def environment(folder, synth_root):
    """Variables of a reader: corpora, models, `bimotion` on the path; and CPUs only."""
    return {
        "BIMOTION_CORPORA": str(synth_root),
        "BIMOTION_MODELS": str(true_trees.MODELS),
        "CUDA_VISIBLE_DEVICES": "",
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLBACKEND": "agg",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture(scope="module")
def run(folder, environment):
    """Runner of a function of `reader`; one process, so that torch is imported once."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawned, reader.begin, (str(folder), environment)) as pool:
        yield lambda function, *words, **more: pool.submit(function, *words, **more).result()
        pool.submit(reader.end).result()


@pytest.fixture(scope="module")
def shell(folder, environment):
    """Runner of a shell script: the text that it prints."""

    def run_it(name, *arguments, without=(), **more):
        known = {k: v for k, v in (os.environ | environment | more).items() if k not in without}
        command = ["bash", name, *arguments]
        done = subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_it


def test_every_example_has_its_line_in_the_list():
    names = {path.name for path in EXAMPLES.iterdir() if path.suffix and path.name[0] != "."}
    listed = set(re.findall(r"\]\(([\w.]+)\)", (EXAMPLES / "README.md").read_text()))
    assert names - {"README.md"} <= listed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_tidy(path):
    """Nothing that a run leaves; each cell short, and introduced by a sentence."""
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert text == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    cells = notebook["cells"]
    assert cells[0]["source"][0].startswith("# ")
    for before, cell in itertools.pairwise(cells):
        if cell["cell_type"] == "code":
            assert (before["cell_type"], cell["outputs"]) == ("markdown", [])
            assert cell["execution_count"] is None
            assert len(cell["source"]) <= 12


def test_00_load_and_listen(run):
    """Here without corpora of the reader's own, which its first line says."""
    text = run(reader.run_notebook, "00_load_and_listen.ipynb", BIMOTION_CORPORA=None)
    assert text.startswith(SYNTHETIC)
    assert "'age_years': 6" in text
    assert re.search(r"label.*\nangry +\d+ +\d+ +\d+", text)


def test_01_probe_a_model(run, environment):
    text = run(reader.run_notebook, "01_probe_a_model.ipynb")
    assert text.startswith(f"Corpora: {environment['BIMOTION_CORPORA']}\nModel: ")
    assert ("RANDOM" in text) == (not Path(environment["BIMOTION_MODELS"]).exists())
    for model in ("tiny", "bimotion/prosody", "bimotion/majority"):
        assert re.search(rf"{model}.* zho_eld +0\.\d+ +0\.\d+ +0\.\d+", text)


def test_02_your_own_encoder(run):
    text = run(reader.run_script, "02_your_own_encoder.py")
    assert re.search(r"LoudnessAndPitch.*in-group \(baseline\) \| - \| - \| \d+\.\d", text, re.S)


@pytest.mark.skipif(find_spec("peft") is None, reason="extra `peft` is not installed")
def test_03_finetune_lora(run):
    text = run(reader.run_script, "03_finetune_lora.py")
    assert text.endswith("/best hears positive, neutral, negative\n")


def test_04_adapt_and_compare(run):
    text = run(reader.run_notebook, "04_adapt_and_compare.ipynb")
    assert re.search(r"\+ none .* less .* \+ corpus-norm ", text)
    assert re.search(r"cross-lingual inference: eng_eld -> zho_eld.*(better|cannot separate)", text)


@pytest.mark.skipif(find_spec("umap") is None, reason="extra `figures` is not installed")
def test_05_figure_2(run):
    text = run(reader.run_notebook, "05_figure_2.ipynb")
    assert re.search(r"\| yue\+zho \| happiness \| \d+ \| \d+ \|", text)
    assert "b'\\x89PNG" in text


def test_06_age_result(run, folder):
    text = run(reader.run_notebook, "06_age_result.ipynb")
    assert re.search(r"\| crema_d \| eng_adu \| \d+ \+ \d+ \|", text)
    assert list(folder.glob("results/*/*/report.html"))


def test_07_submit_and_reproduce(shell, folder):
    lines = shell("07_submit_and_reproduce.sh").splitlines()
    assert [line for line in lines if line.endswith(": verified")]
    assert [line for line in lines if line.endswith(": reproduced")]
    assert "bimotion/prosody" in (folder / "board" / "site" / "board.json").read_text()


def test_08_slurm(shell, folder):
    """The first task of the array, on a machine without corpora."""
    cell = ("--protocol", "in-group", "--cells", "zho_eld")
    without = ("BIMOTION_CORPORA",)
    text = shell("08_slurm.sbatch", *cell, SLURM_ARRAY_TASK_ID="0", without=without)
    assert text.startswith(f"{SYNTHETIC}corpora-0")
    assert re.search(r"\| bimotion/majority .*\| in-group \(baseline\) \| - \| - \| \d", text, re.S)


def test_09_add_a_corpus(run):
    utterances, findings = run(reader.follow_page, "09_add_a_corpus.md").splitlines()
    assert re.search(
        r"id='mylab/happy_s03_012'.* age_years=67.*emotions=\('happiness',\)", utterances
    )
    assert re.search(r"unsorted/s03_f_67_013.wav.*in no folder of a label", findings)


def test_10_transformers_trainer(run):
    text = run(reader.run_script, "10_transformers_trainer.py")
    assert re.search(r"eval_weighted_f1: 0\.\d+\neval_macro_f1: 0\.\d+", text)


def test_11_export(shell):
    text = shell("11_export.sh")
    assert re.search(r"'eval_accuracy': 0\.\d", text)
