"""Corpora as tiny files under their true names, for a server that has the files of a download."""

import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path

from bimotion.corpora import CORPORA
from bimotion.data import published, rosters, shipped
from bimotion.data.synthetic import layouts

HOSTS = {
    "csed": "raw.githubusercontent.com",
    "elderreact": "raw.githubusercontent.com",
    "emo_db": "emodb.bilderbar.info",
    "shemo": "github.com",
    "tess": "borealisdata.ca",
    "urdu": "raw.githubusercontent.com",
}
URDU = (
    "raw.githubusercontent.com/siddiquelatif/URDU-Dataset/4b546d4e0fa36d1c86c53a281631b2ab7ce2fdec"
)
"""The place of the files of URDU, below the server that stands for their host."""
TRUE_LISTS = published.FOLDER
LISTING = "api/datasets/:persistentId/versions/:latest-published/files"


def tiny(corpus: str) -> dict[str, bytes]:
    """Content for every published path of a corpus."""
    rows = shipped.read(TRUE_LISTS / f"{corpus}.tsv.gz").decode().splitlines()[1:]
    paths = [row.split("\t")[0] for row in rows]
    return {path: f"{path}\n".encode() * 5 for path in paths}


def shemo() -> dict[str, dict[str, bytes]]:
    """The two zips of ShEMO: name -> path -> content."""
    stems = rosters.load("shemo")["stem"]
    folders = {"female": "F", "male": "M"}
    return {
        f"{folder}.zip": {f"{folder}/{stem}.wav": b"RIFF" for stem in stems if stem[0] == letter}
        for folder, letter in folders.items()
    }


def tables(corpus: str) -> dict[str, bytes]:
    """The label files of a whole corpus, by name; facts in them are invented."""
    clips = layouts.plan(1.0, corpora=[corpus])
    texts = layouts.TEXT_FILES[corpus](clips)
    return {Path(path).name: text.encode() for path, text in texts.items()}


def yuemotion() -> dict[str, bytes]:
    """The files of YueMotion's repository, every clip that its tables list in the archive."""
    listed = tables("yuemotion")
    rows = (row for text in listed.values() for row in csv.DictReader(text.decode().splitlines()))
    return listed | {"data.tar.bz2": tarred({row["file_name"]: b"RIFF" for row in rows}, "bz2")}


def dataverse(files: dict[str, bytes], first: int = 100) -> dict[str, bytes]:
    """The answers of a Dataverse: path and query -> content."""
    numbered = list(enumerate(files, start=first))
    listed = [
        {"label": Path(path).name, "dataFile": {"id": number, "filename": Path(path).name}}
        for number, path in numbered
    ]
    query = f"{LISTING}?persistentId=doi:{CORPORA['tess'].card.sources[0].doi}"
    answers = {query: json.dumps({"status": "OK", "data": listed}).encode()}
    return answers | {f"api/access/datafile/{number}": files[path] for number, path in numbered}


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip of some files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return packed.getvalue()


def tarred(files: dict[str, bytes], packing: str = "gz") -> bytes:
    """A packed tar of some files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{packing}") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def content_of(folder: Path) -> dict[str, bytes]:
    """Path -> content of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
