"""The files that a download of a corpus needs, and their addresses: from its card, the lists of
published files, and what hosts list at the time."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from urllib.parse import quote, urlsplit, urlunsplit

from bimotion.corpora import CORPORA, sources
from bimotion.corpora.card import Card
from bimotion.data import published
from bimotion.data.download.remote import RemoteFile, ask, client, read_json
from bimotion.errors import DownloadError, SettingError, some
from bimotion.io.addresses import host_of, is_address, shown
from bimotion.io.hub import hub_endpoint

_MIRROR = re.compile(r"(?:([\w.-]+(?::\d+)?)=)?(https?://[^\s?#]+)", re.IGNORECASE)
MAX_LISTING_BYTES = 64 * 1024**2  # of a Dataverse; TESS's has about three


@dataclass(frozen=True)
class Mirrors:
    """The addresses to use in place of the corpora's own."""

    root: str | None = None
    """Address of a folder that has the files as `<corpus>/<path>`."""
    hosts: dict[str, str] = field(default_factory=dict)
    """Host -> address of what stands for it, such as a caching proxy."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Mirrors":
        """Take the values of `--mirror`: `URL`, or `HOST=URL`; raises SettingError.

        >>> Mirrors.of(["media.githubusercontent.com=http://cache.lab/media"]).address(
        ...     "https://media.githubusercontent.com/media/a/b")
        'http://cache.lab/media/media/a/b'
        """
        stands_for: dict[str, str] = {}
        for text in texts:
            match = _MIRROR.fullmatch(text)
            host = ((match and match[1]) or "").lower()
            if not match or not is_address(match[2]) or host in stands_for:
                raise SettingError(
                    "--mirror: expected one http(s) address of a folder, or HOST=ADDRESS once a "
                    f"host, found {shown(text)!r:.80}"
                )
            if host and host not in _hosts():
                raise SettingError(
                    f"--mirror: expected a host that corpora come from ({', '.join(_hosts())}), "
                    f"found {host!r:.80}"
                )
            stands_for[host] = match[2].rstrip("/")
        root = stands_for.pop("", None)
        return cls(root, stands_for)

    def address(self, address: str) -> str:
        """An address, or that of what stands for its host."""
        parts = urlsplit(address)
        instead = self.hosts.get(host_of(address))
        return address if instead is None else instead + urlunsplit(("", "", *parts[2:]))

    def of_file(self, corpus: str, file: RemoteFile) -> RemoteFile:
        """The same file at the addresses to use."""
        if self.root:
            return replace(file, addresses=(f"{self.root}/{corpus}/{quote(file.path)}",))
        return replace(file, addresses=tuple(map(self.address, file.addresses)))


def _hosts() -> list[str]:
    """Every host that an address of a corpus names: what is written for another one stands for
    nothing."""
    addresses = [hub_endpoint()]
    for card in (corpus.card for corpus in CORPORA.values()):
        addresses.append(card.url)
        for source in card.sources:
            match source:
                case sources.Files() | sources.Archive():
                    addresses += source.addresses
                case sources.Dataverse():
                    addresses.append(source.server)
    return sorted({host_of(address) for address in addresses} - {""})


@dataclass(frozen=True)
class FileList:
    """All files of a download of a corpus."""

    files: tuple[RemoteFile, ...]
    archives: dict[str, sources.Archive]
    """Path of those that are unpacked -> how."""
    pins: dict[str, str]
    """Where the content is not pinned by our lists: what was found, for the record."""

    @property
    def n_bytes(self) -> int:
        """The bytes that are transferred, as far as they are known."""
        return sum(file.n_bytes or 0 for file in self.files)

    @property
    def disk_bytes(self) -> int:
        """The bytes that the disk must have room for: archives lie beside what they unpack to."""
        return sum(
            (file.n_bytes or 0) * (3 if file.path in self.archives else 1) for file in self.files
        )

    def without(self, there: Collection[str]) -> "FileList":
        """The files but for those of some paths."""
        return replace(self, files=tuple(file for file in self.files if file.path not in there))


def files_of(card: Card, mirrors: Mirrors) -> FileList:
    """List the files of a corpus; asks hosts for their lists where addresses are not fixed.

    Raises:
        DownloadError, HubError: A host does not answer, or lacks files.
    """
    files, archives, pins = [], {}, {}
    for source in card.sources:
        match source:
            case sources.Files():
                files += _listed(card.name, source)
            case sources.Archive():
                archives[source.name] = source
                files.append(_archive(source))
            case sources.Dataverse() if mirrors.root:
                files += _listed(card.name, sources.Files(()))
            case sources.Dataverse():
                files += _in_dataverse(card.name, source, mirrors)
            case sources.HubDataset():
                commit, on_hub = _on_hub(source, has_mirror=bool(mirrors.root))
                files += on_hub
                pins |= {source.repository: commit}
    files = [_with_size(mirrors.of_file(card.name, file)) for file in files]
    return FileList(tuple(files), archives, pins)


def samples_of(card: Card, mirrors: Mirrors) -> Iterator[RemoteFile]:
    """One file for each place of a corpus that has many, and all others; no host is asked."""
    for source in card.sources:
        match source:
            case sources.Files():
                yield from islice(_listed(card.name, source), 1)
            case sources.Archive():
                yield _archive(source)
            case sources.Dataverse() if mirrors.root:
                yield from islice(_listed(card.name, sources.Files(())), 1)
            case sources.Dataverse():
                yield RemoteFile("", (listing_address(source),), None, None, max_bytes=0)
            case sources.HubDataset():
                resolved = f"{hub_endpoint()}/datasets/{source.repository}/resolve/main/"
                for name in source.files:
                    yield RemoteFile(name, (resolved + name,), None, None, source.max_bytes)


def _listed(corpus: str, source: sources.Files) -> Iterator[RemoteFile]:
    for file in published.load(corpus):
        suffix = "." + file.name.rpartition(".")[2]
        if not source.suffixes or suffix in source.suffixes:
            addresses = tuple(address + quote(file.path) for address in source.addresses)
            yield published_at(file, addresses)


def published_at(file: published.Published, addresses: tuple[str, ...] = ()) -> RemoteFile:
    """A published file at some addresses."""
    checksum = ("sha256", file.sha256)
    return RemoteFile(file.path, addresses, file.n_bytes, checksum, max_bytes=file.n_bytes)


def _archive(source: sources.Archive) -> RemoteFile:
    max_bytes = source.bounds.max_bytes
    return RemoteFile(source.name, source.addresses, None, None, max_bytes=max_bytes)


def _with_size(file: RemoteFile) -> RemoteFile:
    """The file with the size that the first address that answers states; raises DownloadError where
    that is too large."""
    if file.n_bytes is not None:
        return file
    for address in file.addresses:
        problem, n_bytes = ask(address)
        if problem is None and n_bytes is not None:
            if n_bytes > file.max_bytes:
                raise DownloadError(
                    f"{shown(address)}: expected at most {file.max_bytes} bytes, found {n_bytes}"
                )
            return replace(file, n_bytes=n_bytes)
    return file


def _in_dataverse(corpus: str, source: sources.Dataverse, mirrors: Mirrors) -> list[RemoteFile]:
    """The published files of a corpus at the addresses that a Dataverse gives them."""
    ids = _dataverse_ids(read_json(mirrors.address(listing_address(source)), MAX_LISTING_BYTES))
    files = published.load(corpus)
    if missing := [file.path for file in files if file.name not in ids]:
        raise DownloadError(
            f"expected the {len(files)} files of {corpus} in doi:{source.doi} at {source.server}, "
            f"missing {some(missing)}"
        )
    access = f"{source.server}/api/access/datafile/"
    return [published_at(file, (f"{access}{ids[file.name]}",)) for file in files]


def listing_address(source: sources.Dataverse) -> str:
    """The address at which a Dataverse lists the files of a data set."""
    path = "/api/datasets/:persistentId/versions/:latest-published/files"
    return f"{source.server}{path}?persistentId=doi:{source.doi}"


def _dataverse_ids(answer: object) -> dict[str, int]:
    """Name of a file in lower case -> its number in the Dataverse; raises DownloadError."""
    try:
        ids = {str(file["label"]).lower(): file["dataFile"]["id"] for file in answer["data"]}
    except (TypeError, KeyError):
        raise DownloadError(
            "expected a Dataverse's list of files (data, label, dataFile, id), found "
            f"{str(answer)[:120]!r}"
        ) from None
    return {name: number for name, number in ids.items() if isinstance(number, int)}


def _on_hub(source: sources.HubDataset, has_mirror: bool) -> tuple[str, list[RemoteFile]]:
    """The commit that the files are pinned at, and these. A mirror states no checksum."""
    if has_mirror:
        limits = {"n_bytes": None, "checksum": None, "max_bytes": source.max_bytes}
        return "a mirror", [RemoteFile(name, (), **limits) for name in source.files]
    from bimotion.data.huggingface.client import published as published_on_hub

    client()  # what the environment says of proxies is told in our words
    commit, files = published_on_hub(source.repository, source.files)
    if large := [name for name, file in files.items() if file.n_bytes > source.max_bytes]:
        raise DownloadError(
            f"{source.repository}: {large[0]} has more than {source.max_bytes} bytes"
        )
    return commit, [
        RemoteFile(name, (file.address,), file.n_bytes, file.checksum, max_bytes=file.n_bytes)
        for name, file in files.items()
    ]
