"""`bimotion data download`: a corpus is fetched from its own hosts, or taken from an archive that
the user was given, checked, and laid out below the corpora root.

Everything that is on the way lies in the hidden folder `.bimotion-downloads/<corpus>` of the root:
`laid` holds files that are whole and right, `parts` what is begun, and what is wrong. Once all of a
corpus is there, `laid` takes its place in one step. The same command goes on where one was broken
off.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bimotion.corpora import archives, corpus_named
from bimotion.corpora.card import Corpus
from bimotion.corpora.tree import Tree
from bimotion.data import published, rosters
from bimotion.data.download import ledger
from bimotion.data.download.plan import FileList, Mirrors, files_of, published_at
from bimotion.data.download.remote import RemoteFile
from bimotion.data.download.transfer import fetch_all
from bimotion.data.locate import locate
from bimotion.data.source import CorpusSource
from bimotion.errors import (
    CorpusAmbiguous,
    CorpusMalformed,
    DownloadError,
    SettingError,
    StorageError,
    some,
)
from bimotion.io import files
from bimotion.io.addresses import shown
from bimotion.io.audio import POINTER
from bimotion.io.progress import Progress

MAX_POINTER_BYTES = 1024
PAGES = (b"<!doctype", b"<html", b"<?xml")
"""How pages begin that a host sends in the place of a file, in lower case."""


@dataclass(frozen=True)
class Plan:
    """The work that is to be done about one corpus."""

    corpus: Corpus
    root: Path
    existing: Tree | None
    """The folder below the root that has files of it."""
    n_clips: int
    """Clips in that folder, by their names."""
    files: FileList | None
    """What is fetched; None: nothing."""
    archives: tuple[Path, ...]
    """Of the user, which are unpacked."""

    @property
    def is_complete(self) -> bool:
        """Nothing is to be done."""
        return self.n_clips >= self.corpus.card.n_utterances

    @property
    def needs_steps(self) -> bool:
        """Only a person can get what is missing."""
        return bool(self.corpus.card.form) and not self.archives and not self.is_complete

    @property
    def has_work(self) -> bool:
        """Something is fetched or unpacked."""
        return bool(self.files or self.archives)

    @property
    def packed(self) -> list[RemoteFile]:
        """Archives among the files that are fetched."""
        if self.files is None:
            return []
        return [file for file in self.files.files if file.path in self.files.archives]

    @property
    def completes(self) -> bool:
        """Files are added to a folder that an earlier download left some out of."""
        return self.existing is not None and self.files is not None

    @property
    def target(self) -> Path:
        """The folder that is made, or added to."""
        if self.existing is None:
            return self.root / self.corpus.card.title
        return self.existing.root if self.completes else self.existing.root / self._sent_folder

    @property
    def _sent_folder(self) -> str:
        """Sub-folder for what the corpus's authors send."""
        return (self.corpus.card.form and self.corpus.card.form.folder) or ""

    @property
    def work(self) -> Path:
        """The hidden folder for what is on the way."""
        return self.root / ledger.FOLDER / self.corpus.name

    @property
    def disk_bytes(self) -> int:
        """Bytes that the disk must have room for, less those that are there already."""
        needed = self.files.disk_bytes if self.files else 0
        if form := self.corpus.card.form:
            needed += sum(archives.unpacked_bytes(path, form.suffixes) for path in self.archives)
        there = sum(path.stat().st_size for path in self.work.rglob("*") if path.is_file())
        return max(0, needed - there)


def plan(
    name: str,
    root: Path,
    mirrors: Mirrors | None = None,
    archive_paths: Iterable[Path] = (),
) -> Plan:
    """Say what is to be done about a corpus; nothing is fetched yet.

    Args:
        name: Of the corpus.
        root: Folder that it lies in or shall; it may not exist yet.
        mirrors: Addresses in place of the corpora's own.
        archive_paths: Archives that the user was given.

    Raises:
        UnknownName: Of the corpus.
        SettingError: The root holds some other copy, or archives of a corpus that has none.
        DownloadError, HubError: A host that lists files does not.
    """
    corpus, archive_paths = corpus_named(name), tuple(archive_paths)
    card, tree = corpus.card, _existing(name, root)
    if archive_paths and card.form is None:
        raise SettingError(
            "--from: expected a corpus that its authors send (elderreact, esd, iemocap), found "
            f"{name}: `bimotion data download {name}` fetches it"
        )
    if missing := [path for path in archive_paths if not path.is_file()]:
        raise SettingError(f"--from: expected an archive, found no file at {missing[0]}")
    n_clips = _n_clips(corpus, tree) if tree else 0
    is_complete = n_clips >= card.n_utterances
    if is_complete and archive_paths:
        raise SettingError(f"{card.title} is there already: {tree.root}")
    is_partial = tree is not None and not is_complete
    is_ours = is_partial and ledger.Ledger.of(root).has_made(name, tree.root.name)
    may_be_added_to = n_clips == 0 and card.form is not None and card.form.folder is not None
    if is_partial and not (is_ours or may_be_added_to):
        raise SettingError(
            f"expected no copy of {card.title} below {root}, or a complete one, found {n_clips} of "
            f"{card.n_utterances} clips in {tree.root}: move that folder away, or name another "
            "root by --to"
        )
    wanted = None
    if card.sources and (tree is None or (is_ours and card.form is None)):
        wanted = files_of(card, mirrors or Mirrors()).without(_sound_paths(tree) if tree else ())
    return Plan(corpus, root, tree, n_clips, wanted, archive_paths)


def _existing(name: str, root: Path) -> Tree | None:
    if not root.is_dir():
        return None
    trees, ambiguous = locate(CorpusSource.of(root, [name]), [name])
    if ambiguous:
        raise CorpusAmbiguous(ambiguous[name])
    return trees.get(name)


def _n_clips(corpus: Corpus, tree: Tree) -> int:
    return len(_clips(corpus, tree, with_sound=True))


def _clips(corpus: Corpus, tree: Tree, *, with_sound: bool) -> set[str]:
    """Ids of the clips of a folder, by its lists and the names of its files; of an archive in it
    all are said to be there."""
    utterances = corpus.read(tree).utterances
    there = _sound_paths(tree)
    is_packed = corpus.packed is not None and any(
        file.path in there for file in corpus.packed(tree)
    )
    if not with_sound or is_packed:
        return {clip.id for clip in utterances}
    return {clip.id for clip in utterances if clip.path in there}


def _sound_paths(tree: Tree) -> set[str]:
    """Paths of the files of a folder that are not plainly something else than they should be."""
    return {file.path for file in tree.files if not _is_hollow(tree.root / file.path, file.n_bytes)}


def _is_hollow(path: Path, n_bytes: int) -> bool:
    """Tell empty files, and pointers of git-lfs."""
    if n_bytes > MAX_POINTER_BYTES:
        return False
    return n_bytes == 0 or _starts(path).startswith(POINTER)


def _starts(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(len(POINTER))


def require_room(plans: Iterable[Plan], root: Path) -> None:
    """Raise StorageError, before any work, where the disk has too little room for all plans."""
    needed = sum(plan.disk_bytes for plan in plans if plan.has_work)
    free = shutil.disk_usage(files.nearest_existing(root)).free
    if needed > free:
        raise StorageError(
            f"{root}: expected room for {megabytes(needed)}, found {megabytes(free)} free; make "
            "room, or name another root by --to"
        )


def megabytes(n_bytes: int) -> str:
    """A size that a person can read.

    >>> megabytes(281_330_024)
    '282 MB'
    """
    return f"{-(-n_bytes // 10**6)} MB"


def carry_out(plan: Plan, progress: Progress, *, allow_missing: bool = False) -> Path:
    """Fetch, check and lay out one corpus; what was begun is gone on with.

    Args:
        plan: Made by `plan`.
        progress: Shows how far it is.
        allow_missing: Lay out what is right, though files or clips are missing.

    Returns:
        The folder that was made.

    Raises:
        DownloadError: A file cannot be had, or is not the published one; nothing is laid out.
        CorpusMalformed: An archive is not the corpus's, or not all of it.
        StorageError: The disk is full.
    """
    files.require_writable(plan.root)
    in_use = f"{plan.root}: another process downloads {plan.corpus.name} there; wait for it"
    with files.locked(plan.work.with_suffix(".lock"), in_use=in_use):
        if plan.target.exists() and not plan.completes:
            raise SettingError(
                f"{plan.target}: expected no such folder, or one that holds {plan.corpus.name}; "
                "move it away, or name another root by --to"
            )
        laid, parts = plan.work / "laid", plan.work / "parts"
        packed = plan.packed
        if packed or plan.archives:  # what was unpacked before is unpacked again
            shutil.rmtree(laid, ignore_errors=True)
        with files.storing(plan.target):
            laid.mkdir(parents=True, exist_ok=True)
        if plan.files:
            label = f"downloading {plan.corpus.name}"
            plain = [file for file in plan.files.files if file not in packed]
            left = fetch_all(plain, laid, parts, progress, label, allow_missing=allow_missing)
            if left:
                progress.say(
                    f"{plan.corpus.name}: {len(left)} files left out: {some(left, shown=3)}"
                )
            fetch_all(packed, parts, parts, progress, label, allow_missing=False)
        try:
            _unpack(plan, laid, parts, progress)
            _require_whole(plan, laid, allow_missing)
        except BaseException as error:
            if packed or plan.archives:
                shutil.rmtree(laid, ignore_errors=True)
            is_wrong = isinstance(error, CorpusMalformed | DownloadError)
            if not (is_wrong and _set_aside(plan, laid, parts)):
                raise
            raise DownloadError(
                f"{error}; what was downloaded is kept as {parts}/*.wrong"
            ) from None
        return _lay_out(plan, laid, parts)


def _set_aside(plan: Plan, laid: Path, parts: Path) -> bool:
    """Rename what was fetched without a checksum, else it would be taken for right the next time;
    False where there is none."""
    fetched = plan.files.files if plan.files else ()
    paths = [file.path for file in fetched if file.checksum is None]
    for path in paths:
        wrong = parts / f"{path}.wrong"
        wrong.parent.mkdir(parents=True, exist_ok=True)
        for folder in (laid, parts):
            if (folder / path).is_file():
                (folder / path).replace(wrong)
    return bool(paths)


def _unpack(plan: Plan, laid: Path, parts: Path, progress: Progress) -> None:
    """Unpack archives that were fetched, or that the user gave."""
    for file in plan.packed:
        source = plan.files.archives[file.path]
        with progress.task(f"unpacking {file.path}"):
            archives.unpack(parts / file.path, laid, source.suffixes, source.bounds)
    form = plan.corpus.card.form
    for path in plan.archives:
        inside = laid / (form.folder or "") if plan.existing is None else laid
        with progress.task(f"unpacking {path.name}"):
            archives.unpack(path, inside, form.suffixes, form.bounds)


def _require_whole(plan: Plan, laid: Path, allow_missing: bool) -> None:
    """Raise where what is to be laid out is not the whole corpus, or not the published files."""
    corpus, card = plan.corpus, plan.corpus.card
    tree = Tree(laid)
    _require_no_pages(tree)
    if plan.packed:
        _require_published(card.name, tree)
    if plan.existing is not None:  # both together, as they will lie
        both = plan.work / "both"
        shutil.rmtree(both, ignore_errors=True)
        both.mkdir()
        for name, folder in (("before", plan.existing.root), ("new", laid)):
            (both / name).symlink_to(folder)
        tree = Tree(both)
    is_sound_due = card.form is None or bool(plan.archives)
    clips = _clips(corpus, _unpacked(plan, tree), with_sound=is_sound_due)
    if len(clips) >= (1 if allow_missing else card.n_utterances):
        return
    origin = ", ".join(map(str, plan.archives)) or "what was downloaded"
    roster = rosters.load(card.name)
    missing = [] if roster is None else sorted(set(roster.index) - clips)
    raise CorpusMalformed(
        f"{origin}: expected {card.n_utterances} clips of {card.title}, found {len(clips)}"
        + (f", missing {some(missing)}" if missing else "")
        + ("; give all archives, --from A --from B, or unpack them by hand" * bool(plan.archives))
    )


def _unpacked(plan: Plan, tree: Tree) -> Tree:
    """The folder itself, or what lies in the archives that stay as they are in it: that they are
    what their name says shows only there."""
    if plan.corpus.unpack is None:
        return tree
    folder = plan.work / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    with files.storing(folder):
        folder.mkdir()
    return Tree(folder) if plan.corpus.unpack(tree, folder) else tree


def _require_no_pages(tree: Tree) -> None:
    """Raise DownloadError for web pages under the names of other files: a host that wants a login,
    say, answers with one as if it were the file."""
    pages = [
        file.path
        for file in tree.files
        if file.suffix not in (".htm", ".html", ".xml")
        and _starts(tree.root / file.path).lstrip().lower().startswith(PAGES)
    ]
    if pages:
        raise DownloadError(f"expected files of the corpus, found web pages: {some(pages)}")


def _require_published(name: str, tree: Tree) -> None:
    """Raise DownloadError where files are not those of the corpus's list."""
    expected = published.by_name(name)
    foreign = [
        f"{file.path}: {difference}"
        for file in tree.files
        if (known := expected.get(file.name.lower()))
        and (difference := published_at(known).difference(tree.root / file.path))
    ]
    if foreign:
        raise DownloadError(f"expected the published files, found {some(foreign, shown=3)}")


def _lay_out(plan: Plan, laid: Path, parts: Path) -> Path:
    """Give the files their place, and record where they came from."""
    paths = [path for path in laid.rglob("*") if path.is_file()]
    n_bytes = sum(path.stat().st_size for path in paths)
    pins = dict(plan.files.pins) if plan.files else {}
    packed = [parts / file.path for file in plan.packed]
    pins |= {path.name: files.digest(path) for path in [*packed, *plan.archives]}
    origins = [shown(file.addresses[0]) for file in plan.files.files[:1]] if plan.files else []
    with files.storing(plan.target):
        if plan.completes:
            for path in paths:
                target = plan.target / path.relative_to(laid)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
        else:
            laid.rename(plan.target)
        shutil.rmtree(plan.work, ignore_errors=True)
    laid_out = ledger.LaidOut(
        folder=plan.target.relative_to(plan.root).as_posix(),
        n_files=len(paths),
        n_bytes=n_bytes,
        origins=[*origins, *map(str, plan.archives)],
        pins=pins,
        date=ledger.today(),
    )
    ledger.laid_out(plan.corpus.name, laid_out, plan.root)
    return plan.target
