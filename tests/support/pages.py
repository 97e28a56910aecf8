"""The blocks of shell and Python on pages of documentation, and a reader who types them: on
synthetic corpora, with tiny models in a cache as the Hub fills it, few clips and one fold."""

import ast
import glob
import io
import os
import re
import shlex
import shutil
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import groupby, zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest

from bimotion.corpora import CORPORA
from bimotion.data.index import SYNTHETIC_MARK
from bimotion.data.synthetic import layouts
from bimotion.protocol.labels import EMOTIONS
from tests.support import tiny_models
from tests.support.command_line import run_main

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"^(?:<!-- (not run|dry run): ([^\n]+) -->\n\n?)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
RUN_KEY = "<run key>"
SHELL = ("", "sh", "bash")
MODELS = {
    "openai/whisper-tiny": "whisper",
    "openai/whisper-tiny.en": "whisper",
    "openai/whisper-base": "whisper",
    "openai/whisper-small": "whisper",
    "org/model": "wav2vec2-layer",
    "facebook/wav2vec2-large-xlsr-53": "wav2vec2-layer",
    "CAiRE/SER-wav2vec2-large-xlsr-53-eng-zho-all-age": "wav2vec2-layer",
}
"""Model that a page names -> family of the tiny random one in its place."""
CLASSIFIER = "CAiRE/"
"""Models of this owner are classifiers, with the paper's 13 outputs without names."""
FINDINGS = ("data doctor", "data stats", "score", "check-model", "leaderboard verify")
"""Commands that end with 1 where they have found something."""
CLIPS_OF_A_PART = {False: 6, True: 24}
"""More of a corpus of which pages draw a map."""
FEWER = {"folds": 1, "cells": ["eng_eld", "zho_eld"]}
"""Given to every evaluation of a page that says nothing of folds, rule, preset or cells."""


class Block(NamedTuple):
    """A block of code of a page."""

    page: str
    language: str
    code: str
    mark: str
    """`not run`, `dry run` (evaluations are planned only), or empty."""
    reason: str
    """Why it has a mark."""


def blocks(page: str, text: str) -> list[Block]:
    """The blocks of a page that a reader types: shell and Python."""
    return [
        Block(page, language, code, mark, reason)
        for mark, reason, language, code in BLOCK.findall(text)
        if language in (*SHELL, "python")
    ]


def lay_corpora(root: Path) -> None:
    """Synthetic corpora as `bimotion data synth` marks them, with few clips of each part."""

    def part_of(clip: layouts.Clip) -> tuple:
        return clip.corpus, clip.voice.language, clip.voice.elderly, clip.part

    parts = groupby(sorted(layouts.plan(corpora=CORPORA), key=part_of), part_of)
    clips = [clip for _, members in parts for clip in _spread(list(members))]
    layouts.lay(root, clips)
    for folder in (root, *(path for path in root.iterdir() if path.is_dir())):
        (folder / SYNTHETIC_MARK).write_text("{}")


def _spread(clips: list[layouts.Clip]) -> list[layouts.Clip]:
    """A few clips of a part, of each label in turn."""
    is_mapped = clips[0].corpus == "yuemotion"
    by_label = sorted(clips, key=lambda clip: clip.label)
    columns = zip_longest(*(list(same) for _, same in groupby(by_label, lambda clip: clip.label)))
    return [clip for column in columns for clip in column if clip][: CLIPS_OF_A_PART[is_mapped]]


def lay_models(hub: Path) -> None:
    """Fill a folder as the Hub's client fills its cache, with tiny random models under the names
    that pages use."""
    for name, family in MODELS.items():
        folder = hub / f"models--{name.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text("0" * 40)
        labels = len(EMOTIONS) if name.startswith(CLASSIFIER) else None
        made = hub / f"{family}-{labels}"
        if not made.exists():
            tiny_models.build(family, made, n_labels=labels)
        shutil.copytree(made, folder / "snapshots" / ("0" * 40))


class Reader:
    """Somebody who types what pages say, in one folder and one shell."""

    def __init__(self, corpora: Path, patch: pytest.MonkeyPatch):
        self.corpora = corpora
        self.patch = patch
        self.typed: list[str] = []

    def follow(self, block: Block) -> None:
        """Type a block; raises AssertionError where something fails."""
        if block.language == "python":
            self._python(block.code)
        else:
            for line in block.code.replace("\\\n", "").splitlines():
                self._shell(line, block.mark == "dry run")

    def _shell(self, line: str, is_planned: bool) -> None:
        line = re.sub(r"\[[^\]]*\]", "", line)  # what may be left out
        line = re.sub(r"(?<![\w.])/corpora|\bROOT\b", str(self.corpora), line)
        words = [
            word
            for typed in shlex.split(line.replace(RUN_KEY, "RUN_KEY"), comments=True)
            for word in self._expanded(typed)
        ]
        if not words:
            return
        program, *words = words
        if "pytest" in words:  # which the suite runs by itself
            missing = [word for word in words if "/" in word and not (ROOT / word).exists()]
            assert missing == [], line
            return
        if program == ".":  # an environment, which this process has
            return
        if program == "export":
            self.patch.setenv(*words[0].split("=", 1))
            return
        assert program == "bimotion", f"nobody here runs {program}: {line}"
        words += _fewer(words, is_planned)
        code, out, err = run_main(self.patch, words)
        self.typed.append(" ".join(words))
        has_findings = code == 1 and " ".join(words).startswith(FINDINGS)
        assert code == 0 or has_findings, f"bimotion {' '.join(words)}\n{out[-2000:]}{err[-2000:]}"

    def _expanded(self, word: str) -> list[str]:
        """A word with variables, `<run key>` (the run that ended last) and patterns of names."""
        word = os.path.expandvars(word)
        if "RUN_KEY" in word:
            return [newest(word)]
        return sorted(glob.glob(word)) or [word] if "*" in word else [word]

    def _python(self, code: str) -> None:
        tree = _Fewer(self.corpora).visit(ast.parse(code))
        self.typed.append(ast.unparse(tree))
        try:
            code_of_page = compile(ast.fix_missing_locations(tree), "a page", "exec")
            with redirect_stdout(io.StringIO()):
                exec(code_of_page, {"newest": newest})
        except Exception as error:
            raise AssertionError(f"{code}\n{traceback.format_exc()}") from error


def newest(path: str) -> str:
    """The run that ended last, for `RUN_KEY` in a path."""
    pattern = path.replace(RUN_KEY, "RUN_KEY").replace("RUN_KEY", "*")
    runs = [file.parent for file in Path().glob(f"{pattern}/result.json")]
    assert runs, f"no run at {path}"
    return str(max(runs, key=os.path.getmtime))


def _fewer(words: list[str], is_planned: bool) -> Iterator[str]:
    """More words of a command, so that it is over soon."""
    if words[:2] == ["data", "synth"]:
        yield from ("--only", "csed")
    if words[0] != "evaluate" or "--dry-run" in words:
        return
    if "demo/corpora" in words:  # of this one
        yield "--allow-missing"
    if is_planned:
        yield "--dry-run"
        return
    if not {"--folds", "--preset", "--split-rule"} & set(words):
        yield from ("--folds", str(FEWER["folds"]), "--cells", ",".join(FEWER["cells"]))
    if "finetune" in words:
        yield from ("--num-train-epochs", "1")


class _Fewer(ast.NodeTransformer):
    """The same in Python, and where the corpora and runs are."""

    def __init__(self, corpora: Path):
        self.corpora = corpora

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """A path of the page as one of this machine."""
        if isinstance(node.value, str) and RUN_KEY in node.value:
            return ast.Call(ast.Name("newest", ast.Load()), [node], [])
        is_root = node.value == "/corpora"
        return ast.Constant(str(self.corpora)) if is_root else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A call; an evaluation is of one fold."""
        self.generic_visit(node)
        given = {keyword.arg for keyword in node.keywords}
        if ast.unparse(node.func) == "bimotion.evaluate" and not given & {*FEWER}:
            more = ast.parse(f"call(**{FEWER})", mode="eval").body
            node.keywords += more.keywords
        return node
