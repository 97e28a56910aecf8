"""The only talker to the Hugging Face Hub, but for questions about accounts (membership.py): a
folder becomes a dataset repository, or a pull request; what a repository has is listed.

A dataset goes file by file (`preupload_lfs_files`: Xet where it is installed, else LFS; both know
content that they have), and one commit names all of them at the end: readers see the old state or
the new one, never half of it, and after a failure the same call sends only what is not there.
(`upload_folder` commits in between; `upload_large_folder` is gone from huggingface_hub 2.)
`HF_ENDPOINT` and the token are read at each call; no token enters a message.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    DatasetCard,
    Discussion,
    HfApi,
    errors,
    get_token,
    hf_hub_url,
    utils,
)
from huggingface_hub.hf_api import RepoFile

from bimotion.errors import BimotionError, HubError, SettingError
from bimotion.io.addresses import shown, without_passwords
from bimotion.io.files import digest
from bimotion.io.hub import hub_endpoint, not_connected
from bimotion.io.progress import Progress, default_progress


class PublishedFile(NamedTuple):
    """A file of a dataset repository."""

    address: str
    n_bytes: int
    checksum: tuple[str, str]
    """Algorithm (sha256, or git: SHA-1 of git's object) and digest."""


def signed_in(repo: str) -> str:
    """The name of the account that the token belongs to.

    Raises:
        HubError: No login, or the repository is no `org/name`.

    Example::

        signed_in("org/name")        # before hours of work that end in an upload
    """
    with plain_errors(repo):
        return _api(repo).whoami()["name"]


def upload(
    folder: Path,
    repo: str,
    *,
    private: bool,
    replaces: Iterable[str] = (),
    progress: Progress | None = None,
) -> str:
    """Send all files of a folder to a dataset repository.

    Files that the repository has with the same content are not sent.

    Args:
        folder: What is sent.
        repo: `org/name`; made if there is none.
        private: Of the repository.
        replaces: Patterns of files of an earlier upload: what matches on the Hub and is not in the
            folder is removed.
        progress: Shows how far it is.

    Returns:
        The address of the repository.

    Raises:
        HubError: Says how much arrived.
        SettingError: The folder is empty, or holds a link.

    Example::

        upload(Path("copy"), "org/name", private=True, replaces=["*.parquet"])
    """
    files, progress = _files(folder), progress or default_progress()
    with plain_errors(repo) as sending:
        api = _api(repo)
        api.whoami()
        _ensure_repository(api, repo, private)
        on_hub = _listed(api, repo)
        new = {path: file for path, file in files.items() if not _is_same(file, on_hub.get(path))}
        gone = [path for path in on_hub if path not in files]
        stale = [path for path in gone if any(fnmatchcase(path, name) for name in replaces)]
        sending.n_files, sending.n_arrived = len(files), len(files) - len(new)
        if "README.md" in new:
            # the commit would find out, but after the last file
            DatasetCard.load(new["README.md"]).validate()
        additions = [CommitOperationAdd(path, file) for path, file in new.items()]
        for addition in progress.track(additions, len(additions), f"sending to {repo}", "files"):
            api.preupload_lfs_files(repo, [addition], repo_type="dataset")
            # small text travels with the commit; were this attribute to go, fewer would be claimed
            # than arrived
            sending.n_arrived += getattr(addition, "_is_uploaded", False)
        if changes := [*additions, *map(CommitOperationDelete, stale)]:
            message = "Upload by bimotion"
            api.create_commit(repo, changes, commit_message=message, repo_type="dataset")
        return f"{shown(api.endpoint)}/datasets/{repo}"


def published(repo: str, names: Iterable[str]) -> tuple[str, dict[str, PublishedFile]]:
    """The commit that a dataset repository's main branch is at, and some of its files at that
    commit: name -> address, size, checksum. Raises HubError.

    Example::

        commit, files = published("org/name", ["data.tar.bz2"])
    """
    with plain_errors(repo, "nothing was downloaded"):
        api, names = _api(repo), list(names)
        commit = str(api.dataset_info(repo).sha)
        listed = api.get_paths_info(repo, names, revision=commit, repo_type="dataset")
        entries = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
        if missing := [name for name in names if name not in entries]:
            raise HubError(
                f"expected {', '.join(missing)} in {repo} at commit {commit}, found none"
            )
        where = {"repo_type": "dataset", "revision": commit, "endpoint": api.endpoint}
        return commit, {
            name: PublishedFile(
                hf_hub_url(repo, name, **where),
                int(entry.size),
                ("sha256", entry.lfs.sha256) if entry.lfs else ("git", entry.blob_id),
            )
            for name, entry in entries.items()
            if name in names
        }


def pull_request(folder: Path, repo: str, path_in_repo: str, title: str) -> str:
    """Propose all files of a folder as `path_in_repo/...` of a dataset repository.

    Nothing is ever written to the main branch. An open pull request of the same account and title
    is brought up to date instead of doubled; files that are in the repository already are left out.

    Returns:
        The address of the pull request; of the files, where all of them are there already.

    Raises:
        HubError: The Hub cannot be reached, or refuses.
        SettingError: The folder is empty, or the path leaves the repository.

    Example::

        pull_request(Path("entry"), "org/leaderboard", "submissions/org__model/0123", "org/model:
        run 0123")
    """
    target = PurePosixPath(path_in_repo)
    if target.is_absolute() or ".." in target.parts or not target.parts:
        raise SettingError(f"expected a path inside {repo}, found {path_in_repo!r}")
    files = {f"{target}/{path}": file for path, file in _files(folder).items()}
    with plain_errors(repo):
        api = _api(repo)
        mine = _open_pull_request(api, repo, title, api.whoami()["name"])
        on_hub = _listed(api, repo, mine and mine.git_reference, str(target))
        new = [
            CommitOperationAdd(path, file)
            for path, file in files.items()
            if not _is_same(file, on_hub.get(path))
        ]
        if mine is None and not new:
            return f"{shown(api.endpoint)}/datasets/{repo}/tree/main/{target}"
        how = {"create_pr": True} if mine is None else {"revision": mine.git_reference}
        if new:
            commit = api.create_commit(repo, new, commit_message=title, repo_type="dataset", **how)
        if mine is None:
            return commit.pr_url
        return f"{shown(api.endpoint)}/datasets/{repo}/discussions/{mine.num}"


def _api(repo: str) -> HfApi:
    if not re.fullmatch(r"[^/\s]+/[^/\s]+", repo):
        raise HubError(f"expected a dataset repository as org/name, found {repo!r}")
    return HfApi(endpoint=hub_endpoint())


def _files(folder: Path) -> dict[str, Path]:
    """Path in the repository -> file. Links are refused: they would publish what lies elsewhere."""
    paths = sorted(Path(folder).rglob("*"))
    if links := [path for path in paths if path.is_symlink()]:
        raise SettingError(f"expected plain files in {folder}, found a link: {links[0]}")
    files = {path.relative_to(folder).as_posix(): path for path in paths if not path.is_dir()}
    if not files:
        raise SettingError(f"expected files in {folder}, found none")
    return files


def _ensure_repository(api: HfApi, repo: str, private: bool) -> None:
    try:
        known = api.repo_info(repo, repo_type="dataset")
    except errors.RepositoryNotFoundError:
        api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        known = api.repo_info(repo, repo_type="dataset")
    if private and not known.private:
        raise HubError(
            f"expected {repo} to be private, found it public; nothing was sent. Make it "
            "private in its settings on the Hub, or name another repository"
        )


def _listed(
    api: HfApi, repo: str, revision: str | None = None, path: str | None = None
) -> dict[str, RepoFile]:
    """Files of a repository, or of a folder in it, by path; a missing folder has none."""
    where = {"path_in_repo": path, "revision": revision, "repo_type": "dataset"}
    try:
        entries = list(api.list_repo_tree(repo, recursive=True, **where))
    except errors.EntryNotFoundError:
        return {}
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def _is_same(file: Path, on_hub: RepoFile | None) -> bool:
    """True where the Hub's file has this content: by SHA-256 where it is stored apart, by git's
    hash where it is in git."""
    if on_hub is None or on_hub.size != file.stat().st_size:
        return False
    if on_hub.lfs is None:
        content = file.read_bytes()
        return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest() == on_hub.blob_id
    return digest(file) == on_hub.lfs.sha256


def _open_pull_request(api: HfApi, repo: str, title: str, author: str) -> Discussion | None:
    proposals = api.get_repo_discussions(
        repo,
        repo_type="dataset",
        author=author,
        discussion_type="pull_request",
        discussion_status="open",
    )
    return next((p for p in proposals if (p.title, p.author) == (title, author)), None)


@dataclass
class _Sending:
    """The state of an upload, for the message if it ends early."""

    n_files: int = 0
    n_arrived: int = 0

    def __str__(self) -> str:
        if not self.n_arrived:
            return "nothing was published"
        return (
            f"{self.n_arrived} of {self.n_files} files are on the Hub and will not be sent again: "
            "run the same command again"
        )


@contextmanager
def plain_errors(repo: str, sending: object = None) -> Iterator[Any]:
    """Turn every failure of the client inside the block into one line of HubError, with the state
    of the work at its end (default: a new _Sending); its own bars and log lines are kept away."""
    sending = _Sending() if sending is None else sending
    had_bars = not utils.are_progress_bars_disabled()
    verbosity = utils.logging.get_verbosity()
    utils.disable_progress_bars()
    # the client logs whole addresses of uploads, which are signed
    utils.logging.set_verbosity(utils.logging.CRITICAL)
    try:
        yield sending
    except BimotionError:
        raise
    # Xet and LFS wrap theirs in RuntimeError
    except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
        line = f"{_reason(error, repo)}; {sending}"
        token = get_token()
        raise HubError(line.replace(token, "***") if token else line) from None
    finally:
        utils.logging.set_verbosity(verbosity)
        if had_bars:
            utils.enable_progress_bars()


def _reason(error: BaseException, repo: str) -> str:
    """Say what went wrong and what to do, in a line; no address in it has a query, where signatures
    stand."""
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    telling = (errors.HTTPError, errors.OfflineModeIsEnabled, errors.LocalTokenNotFoundError)
    known = next((cause for cause in chain if isinstance(cause, telling)), error)
    match known:
        case errors.LocalTokenNotFoundError():
            return (
                "expected to be logged in to the Hub, found no token: run `hf auth login` with a "
                "token that may write"
            )
        case errors.OfflineModeIsEnabled():
            return "expected the Hub to be within reach, found HF_HUB_OFFLINE set: unset it"
        case errors.RepositoryNotFoundError():
            return (
                f"no dataset repository {repo} on the Hub, or one that this account may not see "
                "(`hf auth login` as another)"
            )
        case errors.HfHubHTTPError():
            return _refusal(known, repo)
        case errors.HTTPError() if why := not_connected(known):
            return (
                f"expected the Hub ({shown(hub_endpoint())}) to be within reach, found no "
                f"connection to it ({why}): is this machine offline? Connect it, or name a mirror "
                "by HF_ENDPOINT"
            )
        case errors.HTTPError():
            return f"the connection to the Hub broke ({type(known).__name__})"
    text = re.sub(r"\?\S+", "", without_passwords(" ".join(str(error).split())))
    return f"the Hub's client failed: {text or type(error).__name__}"


def _refusal(error: errors.HfHubHTTPError, repo: str) -> str:
    status = error.response.status_code
    reason = f" ({' '.join(error.server_message.split())})" if error.server_message else ""
    if status == 401:
        where = "HF_TOKEN holds it: unset it, or run" if os.environ.get("HF_TOKEN") else "run"
        return f"the Hub does not know this token: {where} `hf auth login --force`"
    if status == 403:
        return (
            f"no permission to write to {repo}{reason}: run `hf auth login` with a token that may, "
            "or ask its owners"
        )
    if status in (409, 412):
        return f"{repo} is being changed by somebody else{reason}"
    if status == 429 or status >= 500:
        return f"the Hub answers {status}{reason}: try again later"
    return f"the Hub refused with status {status}{reason}"
