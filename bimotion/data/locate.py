"""The places of corpora: sub-folders of a root, recognised by content, or folders that the user
names."""

import os
from collections.abc import Iterable
from pathlib import Path

from bimotion.corpora import CORPORA, corpus_named
from bimotion.corpora.card import Corpus
from bimotion.corpora.tree import Tree
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusMalformed, CorpusNotFound, SettingError, some
from bimotion.io.files import cache_dir


def default_root() -> Path:
    """The folder that corpora are downloaded to, and looked for, where none is named:
    `BIMOTION_CORPORA`, else `corpora` in the folder that BIMOTION_CACHE is for."""
    return usable(Path(os.environ.get("BIMOTION_CORPORA") or cache_dir() / "corpora"))


def corpora_root(root: str | os.PathLike | None, names: Iterable[str] = ()) -> Path:
    """The folder that holds the corpora: the argument, else `default_root`; raises CorpusNotFound,
    which says how to get those named."""
    path = usable(Path(root)) if root else default_root()
    if not path.is_dir() and not root and not os.environ.get("BIMOTION_CORPORA"):
        raise CorpusNotFound(
            "expected a folder with one sub-folder a corpus: pass it (data_dir=..., "
            f"--corpora ROOT), set BIMOTION_CORPORA, or download to {path}: {ways_to_get(names)}; "
            "`bimotion data synth DIR` makes a synthetic one"
        )
    if not path.is_dir():
        raise CorpusNotFound(
            "expected a folder with one sub-folder a corpus, found "
            f"{'a file' if path.exists() else 'nothing'} at {path}"
        )
    return path


def ways_to_get(names: Iterable[str]) -> str:
    """The commands that get a few corpora; of many, the one that says how."""
    cards = [corpus_named(name).card for name in names]
    if 0 < len(cards) <= 3:
        return "; ".join(f"{card.name}: {card.how_to_get}" for card in cards)
    return "`bimotion data list` says how to get each corpus"


def usable(path: Path) -> Path:
    """The path made absolute, without `~` and links; raises SettingError where that cannot be."""
    try:
        return path.expanduser().resolve()
    except (RuntimeError, OSError) as error:
        raise SettingError(f"expected a path, found {path}: {error}") from None


def locate(source: CorpusSource, names: list[str]) -> tuple[dict[str, Tree], dict[str, str]]:
    """Find corpora by content, in the folders that the user names, else below the root.

    Returns:
        Corpus -> scanned folder; corpus -> message, where several folders look like it.

    Raises:
        CorpusNotFound: No such root, or a named folder is not that corpus.
        SettingError: A folder is given for a corpus that is not asked for.
    """
    trees = {name: _at_location(name, path, names) for name, path in source.locations.items()}
    ambiguous: dict[str, str] = {}
    wanted = [name for name in names if name not in trees]
    if not wanted or (trees and not source.root):
        return trees, ambiguous
    folder = corpora_root(source.root, names)
    for child in sorted(folder.iterdir()):
        if child.name.startswith(".") or not child.is_dir():
            continue
        tree = Tree(child)
        for name in [name for name in wanted if CORPORA[name].recognise(tree)]:
            if name in trees:
                ambiguous[name] = (
                    f"expected one folder of {name} in {folder}, found two: "
                    f"{trees[name].root.name} and {child.name}; say which: --corpus "
                    f"{name}={child}. Or is the folder {name} itself? Then pass its parent"
                )
            trees[name] = tree
    sure = {name: trees[name] for name in names if name in trees and name not in ambiguous}
    return sure, ambiguous


def _at_location(name: str, location: str | os.PathLike, names: list[str]) -> Tree:
    """A corpus in the folder that the user names; it must be asked for, and be that corpus."""
    if name not in names:
        raise SettingError(
            f"{name}: a folder was given for it, but it is not among the corpora asked "
            f"for ({', '.join(names)})"
        )
    path = usable(Path(location))
    tree = Tree(path) if path.is_dir() else None
    if tree is None or not corpus_named(name).recognise(tree):
        raise CorpusNotFound(
            f"expected {corpus_named(name).card.title} at {path}, found "
            f"{'no file of it' if tree else 'no folder'}"
        )
    return tree


def nothing_found(root: Path, names: list[str]) -> str:
    """Message for a root in which no corpus was recognised."""
    message = (
        f"expected sub-folders that hold {', '.join(names)}; recognised none of them in {root}"
    )
    if here := [name for name in names if CORPORA[name].recognise(Tree(root))]:
        return f"{message}. {_is_itself(here[0], root)}"
    seen = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    return f"{message} ({some(seen) or 'it is empty'}). {ways_to_get(names)}"


def _is_itself(name: str, root: Path) -> str:
    return f"It looks like {name} itself: pass its parent folder, or --corpus {name}={root}"


def refuse_corpus_as_root(root: str | os.PathLike | None, name: str, tree: Tree) -> None:
    """Raise CorpusNotFound where a sub-folder cannot be read as its corpus, but the root can."""
    whole = Tree(corpora_root(root))
    if not _reads(CORPORA[name], tree) and _reads(CORPORA[name], whole):
        raise CorpusNotFound(
            f"expected a folder with one sub-folder a corpus, found {whole.root}. "
            f"{_is_itself(name, whole.root)}"
        )


def _reads(corpus: Corpus, tree: Tree) -> bool:
    try:
        corpus.read(tree)
    except CorpusMalformed:
        return False
    return True
