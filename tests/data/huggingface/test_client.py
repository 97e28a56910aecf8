"""Uploads and pull requests by the Hub's own client, against a server on this machine that fails
when told to."""

import random

import pytest

from tests.support import hub_client, hub_server

Failure, Refused, Repository = hub_server.Failure, hub_client.Refused, hub_server.Repository
MODULE = "bimotion.data.huggingface.client"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One server and one client process for the tests of this file."""
    with hub_server.Hub() as hub:
        client = hub_client.Client(hub, tmp_path_factory.mktemp("hf"))
        yield hub, client
        client.close()
    assert "hf_writer" not in "".join(client.output)
    assert "geheim" not in "".join(client.output), "signed addresses were printed"


@pytest.fixture
def hub(running):
    """The server, empty."""
    hub, _ = running
    for kept in (hub.repositories, hub.objects, hub.parts, hub.failures, hub.requests, hub.hidden):
        kept.clear()
    return hub


@pytest.fixture
def client(running, hub):
    """Calls functions of bimotion.data.huggingface.client in the other process."""
    return lambda function, *args, **options: running[1].call(MODULE, function, *args, **options)


@pytest.fixture
def upload(client, folder):
    """Sends the folder."""
    return lambda to="org/name", **options: client(
        "upload", folder, to, **({"private": False} | options)
    )


@pytest.fixture
def folder(tmp_path):
    """Four Parquet files, of which one goes in three parts, and a card. All contents differ."""
    bytes_of = random.Random(0).randbytes
    for name, size in {"a/test": 3000, "a/train": 45_000, "b/test": 4000, "b/train": 5000}.items():
        path = tmp_path / "copy" / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"PAR1" + bytes_of(size) + b"PAR1")
    (tmp_path / "copy/README.md").write_text("---\npretty_name: copy\n---\n# Copy\n")
    return tmp_path / "copy"


def content(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_byte_arrives_and_a_second_call_sends_nothing(hub, upload, folder):
    assert upload() == f"{hub.url}/datasets/org/name"
    assert hub.files("org/name") == content(folder)
    assert not hub.repositories["org/name"].private
    assert len(hub.asked("PUT", "/storage/")) == 3 + 3
    assert [len(commit["paths"]) for commit in hub.repositories["org/name"].commits] == [5]
    hub.requests.clear()
    assert upload() == f"{hub.url}/datasets/org/name"
    assert hub.asked("PUT", "") == hub.asked("POST", "") == []


def test_only_what_changed_is_sent_and_what_was_replaced_goes(hub, upload, folder):
    upload()
    hub.repositories["org/name"].revisions["main"]["notes.txt"] = b"theirs"
    (folder / "a/test-00000-of-00001.parquet").unlink()
    (folder / "a/test-00000-of-00002.parquet").write_bytes(b"PAR1" + bytes(2000) + b"PAR1")
    (folder / "README.md").write_text("---\npretty_name: new\n---\n")
    hub.requests.clear()
    upload(replaces=["*/*-of-*.parquet"])
    assert len(hub.asked("PUT", "/storage/")) == 1
    shards = [f"a/test-00000-of-0000{n}.parquet" for n in (1, 2)]
    assert sorted(hub.repositories["org/name"].commits[-1]["paths"]) == ["README.md", *shards]
    assert hub.files("org/name") == content(folder) | {"notes.txt": b"theirs"}


def test_a_cut_line_is_tried_again(hub, upload, folder):
    hub.failures.append(Failure("PUT", "/storage/.*/2$", times=2))
    upload()
    assert hub.files("org/name") == content(folder)
    assert len(hub.asked("PUT", "/2 CUT$")) == 2


def test_after_a_failure_in_the_middle_nothing_is_sent_twice(hub, upload, folder):
    # a/test, and the three parts of a/train, pass
    hub.failures.append(Failure("PUT", "/storage/", after=4))
    message = r"the connection to the Hub broke \(.*\); 2 of 5 files are on the Hub and will not"
    with pytest.raises(Refused, match=message):
        upload()
    arrived = [path for path in hub.asked("PUT", "/storage/") if "CUT" not in path]
    assert len(arrived) == 4
    assert hub.files("org/name") == {}, "half a dataset must not be seen"
    hub.failures.clear()
    hub.requests.clear()
    upload()
    sent = hub.asked("PUT", "/storage/")
    assert len(sent) == 2
    assert not set(sent) & set(arrived)
    assert hub.files("org/name") == content(folder)


def test_a_killed_process_is_taken_up_again(hub, upload, folder, tmp_path):
    hub.failures.append(Failure("PUT", "/storage/", status=503, after=4))
    other = hub_client.Client(hub, tmp_path / "hf")
    try:
        other.ask(MODULE, "upload", folder, "org/name", private=False)
        hub_client.wait_for(lambda: len(hub.asked("PUT", "/storage/")) > 4)
    finally:
        other.process.kill()
        other.process.wait()
    arrived = set(hub.objects)
    assert len(arrived) == 2
    hub.failures.clear()
    hub.requests.clear()
    upload()
    assert not [path for path in hub.asked("PUT", "/storage/") if path.split("/")[2] in arrived]
    assert hub.files("org/name") == content(folder)


def test_a_commit_that_fails_leaves_all_files_there(hub, upload, folder):
    hub.failures.append(Failure("POST", "/commit/", status=503, times=1))
    message = r"the Hub answers 503 \(no\): try again later; 4 of 5 files are on the Hub"
    with pytest.raises(Refused, match=message):
        upload()
    hub.requests.clear()
    upload()
    assert hub.asked("PUT", "") == []
    assert hub.files("org/name") == content(folder)


def test_privacy_is_asked_for_and_never_assumed(hub, upload):
    upload("org/secret", private=True)
    assert hub.repositories["org/secret"].private
    hub.repositories["org/open"] = Repository(private=False)
    hub.requests.clear()
    message = "expected org/open to be private, found it public; nothing was sent"
    with pytest.raises(Refused, match=message):
        upload("org/open", private=True)
    assert hub.asked("PUT", "") == hub.asked("POST", "") == []


def test_a_repository_that_another_made_meanwhile_is_used(hub, upload, folder):
    hub.repositories["org/name"] = Repository(private=False)
    hub.hidden.add("org/name")  # until it is created, which answers 409
    upload()
    assert hub.files("org/name") == content(folder)


NO_TOKEN = "expected to be logged in to the Hub, found no token: run `hf auth login`"
BAD_TOKEN = (
    "the Hub does not know this token: HF_TOKEN holds it: unset it, or run `hf auth login --force`"
)


@pytest.mark.parametrize("function", ["upload", "pull_request", "signed_in"])
@pytest.mark.parametrize(("token", "message"), [(None, NO_TOKEN), ("hf_stolen", BAD_TOKEN)])
def test_without_a_good_token_nothing_begins(hub, client, folder, function, token, message):
    hub.repositories["org/name"] = Repository(private=False)
    asked = {
        "upload": (folder, "org/name"),
        "pull_request": (folder, "org/name", "entry", "title"),
        "signed_in": ("org/name",),
    }
    options = {"private": False} if function == "upload" else {}
    with pytest.raises(Refused) as refused:
        client(function, *asked[function], token=token, **options)
    assert str(refused.value).startswith(f"HubError: {message}")
    assert str(refused.value).endswith("; nothing was published")
    assert "\n" not in str(refused.value)
    assert str(token) not in str(refused.value)
    assert hub.asked("POST", "") == []


def test_refusals_say_what_to_do(hub, client, upload, folder):
    no_right = r"no permission to write to org/name \({}hf auth login"
    with pytest.raises(Refused, match=no_right.format("You don't have the rights .*")):
        upload(token="hf_guest")
    hub.repositories["org/name"] = Repository(private=False)
    with pytest.raises(Refused, match=no_right.format("Forbidden: you must have write access.*")):
        upload(token="hf_guest")
    # no token is told even where the server repeats it
    hub.failures.append(
        Failure("POST", "/preupload/", status=403, message="token hf_writer may only read")
    )
    with pytest.raises(Refused, match=r"\(token \*\*\* may only read\)"):
        upload()
    absent = "no dataset repository org/absent on the Hub, or one that this account may not see"
    with pytest.raises(Refused, match=absent):
        client("pull_request", folder, "org/absent", "entry", "title")
    for wrong in ("name", "a/b/c", "org/", "org name/x"):
        with pytest.raises(Refused, match="expected a dataset repository as org/name"):
            upload(wrong)
    with pytest.raises(Refused, match=r"the Hub's client failed: .*alphanumeric"):
        upload("org/-name-")


def test_a_bad_card_is_found_before_anything_is_sent(hub, upload, folder):
    (folder / "README.md").write_text("---\nlicense: mine\n---\n")
    message = r'status 400 \("license" must be one of\); nothing was published'
    with pytest.raises(Refused, match=message):
        upload()
    assert hub.asked("PUT", "") == hub.asked("POST", "/preupload/") == []


UNREACHED = {
    r"found no connection to it \(.*is this machine offline\? .*; nothing was published": {
        "HF_ENDPOINT": "http://127.0.0.1:9"
    },
    "HF_HUB_OFFLINE set: unset it": {"HF_HUB_OFFLINE": "1"},
    r"HubError: .*; nothing was published": {"HF_HUB_DISABLE_XET": "0"},
}


@pytest.mark.parametrize("message", UNREACHED)
def test_a_hub_out_of_reach_and_failures_of_xet(hub, folder, tmp_path, message):
    environment = UNREACHED[message]
    is_xet = "HF_HUB_DISABLE_XET" in environment
    if is_xet:
        pytest.importorskip("hf_xet")
        hub.repositories["org/name"] = Repository(private=False)
    client = hub_client.Client(hub, tmp_path / "hf", **environment)
    with pytest.raises(Refused, match=message):
        client.call(MODULE, "upload", folder, "org/name", private=False)
    client.close()
    assert bool(hub.asked("GET", "/xet-write-token/")) == bool(hub.requests) == is_xet
    assert "Traceback" not in "".join(client.output)


def test_a_pull_request_leaves_main_alone(hub, client, folder):
    hub.repositories["org/board"] = Repository(private=False)
    before = dict(hub.repositories["org/board"].revisions["main"])
    target, title = "submissions/bob__tiny/0123", "bob/tiny: run 0123"
    address = client("pull_request", folder, "org/board", target, title, token="hf_guest")
    assert address == f"{hub.url}/datasets/org/board/discussions/1"
    expected = {f"{target}/{path}": data for path, data in content(folder).items()}
    assert hub.files("org/board", "refs/pr/1") == expected
    assert hub.repositories["org/board"].revisions["main"] == before
    assert hub.asked("POST", "/commit/") == ["/api/datasets/org/board/commit/main"]
    assert hub.repositories["org/board"].proposals[0]["title"] == title


def test_the_same_submission_again_updates_its_pull_request(hub, client, folder):
    hub.repositories["org/board"] = Repository(private=False)
    propose = ("pull_request", folder, "org/board", "submissions/x", "x: run 1")
    first = client(*propose, token="hf_guest")
    hub.requests.clear()
    assert client(*propose, token="hf_guest") == first
    assert hub.asked("POST", "") == hub.asked("PUT", "") == []
    (folder / "README.md").write_text("# Better\n")
    assert client(*propose, token="hf_guest") == first
    assert hub.files("org/board", "refs/pr/1")["submissions/x/README.md"] == b"# Better\n"
    assert hub.files("org/board") == {}
    another = client(*propose, token="hf_writer")
    assert another == first.replace("discussions/1", "discussions/2"), (
        "another account's pull request is not ours"
    )


def test_what_is_merged_is_not_submitted_again(hub, client, folder):
    there = {f"submissions/x/{path}": data for path, data in content(folder).items()}
    hub.repositories["org/board"] = Repository(private=False, revisions={"main": there})
    address = client("pull_request", folder, "org/board", "submissions/x", "x: run 1")
    assert address == f"{hub.url}/datasets/org/board/tree/main/submissions/x"
    assert hub.asked("POST", "") == []


def test_a_pull_request_stays_in_its_place(hub, client, folder, tmp_path):
    for path in ("/etc", "../x", "a/../../b", ""):
        with pytest.raises(Refused, match="SettingError: expected a path inside org/board"):
            client("pull_request", folder, "org/board", path, "title")
    (tmp_path / "private").write_text("mine")
    (folder / "link").symlink_to(tmp_path / "private")
    (tmp_path / "empty").mkdir()
    for source, reason in (
        (folder, "plain files in .*, found a link"),
        (tmp_path / "empty", "files"),
    ):
        with pytest.raises(Refused, match=f"SettingError: expected {reason}"):
            client("pull_request", source, "org/board", "x", "title")
        with pytest.raises(Refused, match=f"SettingError: expected {reason}"):
            client("upload", source, "org/board", private=False)
    assert hub.requests == []
