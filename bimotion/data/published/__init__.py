"""The published files of corpora: path, size and SHA-256 of each, as their source has them. Facts
about files, no data.

One gzipped table a corpus in `bimotion/data/published/`, columns `path bytes sha256`, the path
below the corpus's own folder. A download is held against it, and `bimotion data doctor` tells a
foreign recording by it. Content is held against `SHA256SUMS`. A table is made again by

    python -m bimotion.data.published CORPUS SOURCE [OUTPUT_FOLDER]

where SOURCE is a complete copy, or a list of its files: tab separated, with a header and the same
three columns first, as git-lfs pointers give them without any sound. The shipped ones were made of

- crema_d: the git-lfs pointers of AudioWAV at commit 1658cd3 of the corpus's repository, and its
  VideoDemographics.csv, processedResults/tabulatedVotes.csv and LICENSE.txt;
- csed, urdu: the wavs of their repositories at commits 4b33c07 and 4b546d4;
- elderreact: the three label files of its repository at commit 97a14ad;
- emo_db: the git-lfs pointers of a repository that holds the originals (COINS-SS21/moody-ser at
  6ae90f4; sizes of 531 of 535 agree with another list);
- tess: a copy of all 2800 recordings, without the two foreign ones that a copy on the web holds.

ESD, IEMOCAP, ShEMO and YueMotion have none: nobody here has seen all of their files.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bimotion.corpora.tree import Tree
from bimotion.data import shipped
from bimotion.errors import SettingError
from bimotion.io.files import digest

FOLDER = Path(__file__).parent
COLUMNS = ("path", "bytes", "sha256")


class Published(NamedTuple):
    """One file of a corpus."""

    path: str
    """POSIX path below the corpus's folder."""
    n_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """Its name in lower case; no two sounds of a corpus have the same."""
        return self.path.rpartition("/")[2].lower()


@cache
def load(corpus: str) -> tuple[Published, ...]:
    """The published files of a corpus, sorted by path; empty where they are not known. Raises
    RecordError.

    >>> [file.n_bytes for file in load("crema_d") if file.name == "videodemographics.csv"]
    [4033]
    """
    path = FOLDER / f"{corpus}.tsv.gz"
    if not path.exists():
        return ()
    lines = shipped.read(path).decode().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return tuple(Published(name, int(n_bytes), sha256) for name, n_bytes, sha256 in rows)


def by_name(corpus: str) -> dict[str, Published]:
    """Name of a file, in lower case -> the published one."""
    return {file.name: file for file in load(corpus)}


def save(corpus: str, source: Path, folder: Path) -> None:
    """Write the table of a corpus from a complete copy or from a list; raises SettingError."""
    files = sorted(_copied(source) if source.is_dir() else _listed(source))
    rows = [
        "\t".join(COLUMNS),
        *(f"{path}\t{n_bytes}\t{sha256}" for path, n_bytes, sha256 in files),
    ]
    shipped.save(folder / f"{corpus}.tsv.gz", "".join(f"{row}\n" for row in rows).encode())


def _copied(root: Path) -> Iterator[Published]:
    for file in Tree(root).files:
        yield Published(file.path, file.n_bytes, digest(root / file.path))


def _listed(table: Path) -> Iterator[Published]:
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    if tuple(header.split("\t")[:3]) != COLUMNS:
        raise SettingError(f"{table}: expected columns {', '.join(COLUMNS)}, found {header!r:.80}")
    for line in lines:
        path, n_bytes, sha256 = line.split("\t")[:3]
        yield Published(path, int(n_bytes), sha256)
