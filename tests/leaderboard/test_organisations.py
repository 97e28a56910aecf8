"""Organisations: asked of a Hub on this machine, said by the keeper, else unproved."""

import dataclasses
import os
import subprocess

import pytest

from bimotion.data.huggingface.membership import MAX_ANSWER_BYTES, MAX_PAGES
from bimotion.errors import SettingError
from bimotion.leaderboard import board, export, hub_results, organisations, receipt, receiving
from tests.support import hub_client, hub_server, submissions
from tests.support.command_line import bimotion_process
from tests.support.drafts import Draft, received

MODULE = "bimotion.leaderboard.organisations"
MEMBERS = "/api/organizations/facebook/members"
UNPROVED = "facebook is unproved: "
ASKED = f"{UNPROVED}the Hub could not be asked: "


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One server and one client process for the tests of this file."""
    with hub_server.Hub() as hub:
        docs = os.path.abspath("docs")
        client = hub_client.Client(hub, tmp_path_factory.mktemp("hf"), PYTHONPATH=docs)
        yield hub, client
        client.close()
    assert "hf_writer" not in "".join(client.output)


@pytest.fixture
def hub(running):
    """The server, with an organisation of five and some accounts."""
    hub, _ = running
    for kept in (hub.failures, hub.requests, hub.accounts.instead):
        kept.clear()
    hub.accounts.shown = {name: [] for name in ("ann", "alice", "eve", "Lab")}
    hub.accounts.shown["bob"] = ["other", "Facebook"]
    hub.accounts.members = {"facebook": ["m1", "m2", "m3", "m4", "Alice"]}
    return hub


@pytest.fixture
def ask(running, hub):
    """The proof and the line about an author and an organisation."""
    _, client = running
    return lambda *names, **options: client.call(MODULE, "membership", *names, **options)


def test_members_and_own_names_are_proved(hub, ask):
    assert ask("lab", "LAB") == ["lab is the submitter's own name on the Hub"] * 2
    assert ask("bob", "facebook") == ["bob is a member of facebook on the Hub"] * 2
    assert not hub.asked("GET", "/members")  # bob's own page says it
    assert ask("alice", "facebook")[0] == "alice is a member of facebook on the Hub"
    assert len(hub.asked("GET", "/members")) == 3  # the last page names her


def test_an_address_that_ends_in_a_slash_is_the_same(hub, tmp_path):
    client = hub_client.Client(hub, tmp_path, HF_ENDPOINT=f"{hub.url}/")
    answer = client.call(MODULE, "membership", "alice", "facebook")
    client.close()
    assert answer[0] == "alice is a member of facebook on the Hub"
    assert {path[:5] for _, path, _ in hub.requests} == {"/api/"}


def test_strangers_and_unknown_accounts_are_not(hub, ask):
    line = f"{UNPROVED}eve is not among its members that the Hub shows"
    assert ask("eve", "facebook") == [receipt.NO_PROOF, line]
    assert ask("nobody", "facebook") == [
        None,
        f"{ASKED}no user nobody on the Hub",
    ]
    assert ask("eve", "nolab")[1].endswith("no organisation nolab on the Hub")


FAILURES = {
    "a failing Hub": ({"status": 500}, "the Hub answers 500 (no): try again later"),
    "a hidden list": ({"status": 403}, "the Hub hides what it knows of organisation facebook from"),
    "no login": (
        {"status": 401},
        "expected to be logged in to ask the Hub about organisation facebook, found a token "
        "that it does not know: unset HF_TOKEN, or run `hf auth login`",
    ),
    "a line that is cut": ({}, "the connection to the Hub broke"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_could_not_be_asked_is_said(hub, ask, name):
    options, message = FAILURES[name]
    hub.failures.append(hub_server.Failure("GET", "/members", **options))
    proof, line = ask("eve", "facebook")
    assert proof is None
    assert line.startswith(f"{ASKED}{message}")


OVERVIEW = "/api/users/eve/overview"
ODD = {
    "a list for a user": (OVERVIEW, [], "expected 'user'"),
    "another user": (OVERVIEW, {"user": "facebook", "orgs": []}, "answered about 'facebook'"),
    "organisations of numbers": (OVERVIEW, {"user": "eve", "orgs": [7]}, "expected 'name'"),
    "a turning name": (OVERVIEW, {"user": "e\u202eve"}, "answered about 'e\\u202eve', not"),
    "members without names": (MEMBERS, [{"user": None}], "expected 'user'"),
    "members of no list": (MEMBERS, 7, "expected a list"),
    "a text": (MEMBERS, "eve", "expected a list"),
    "endless members": (MEMBERS, ["x" * MAX_ANSWER_BYTES], f"at most {MAX_ANSWER_BYTES} bytes"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_answers_prove_nothing(hub, ask, name):
    path, content, message = ODD[name]
    hub.accounts.instead[path] = (content, {})
    proof, line = ask("eve", "facebook")
    assert proof is None
    assert message in line
    assert line.isprintable()


def test_no_other_server_sees_the_token_and_pages_end(hub, ask):
    with hub_server.Hub() as other:
        link = {"link": f'<{other.url}{MEMBERS}>; rel="next"'}
        hub.accounts.instead[MEMBERS] = ([], link)
        assert "found the next one elsewhere" in ask("eve", "facebook")[1]
        assert other.requests == []
    link = {"link": f'<{hub.url}{MEMBERS}?cursor=1>; rel="next"'}
    hub.accounts.instead[MEMBERS] = ([], link)
    assert f"at most {MAX_PAGES} pages" in ask("eve", "facebook")[1]


@pytest.mark.parametrize("name", ["", "../api", "a/b", "évе", "a b", "a?x=1", "x" * 97, "a..b"])
def test_a_name_that_is_none_reaches_no_server(hub, ask, name):
    for names in ((name, "facebook"), ("eve", name)):
        assert "expected the name of an account of the Hub" in ask(*names)[1]
    assert hub.requests == []


def test_a_machine_that_is_offline_proves_nothing():
    answer = organisations.membership("ann", "ann")
    assert answer.proof is None
    assert "HF_HUB_OFFLINE set: unset it" in answer.line


# --- receipts and boards ------------------------------------------------------------------------


def sent(run, root, model="facebook/wav2vec9"):
    """A submission that a stranger sent under the name of an organisation."""
    draft = Draft(run)
    draft.result["model"]["name"] = model
    draft.statement["organisation"] = model.partition("/")[0]
    for score in draft.result["scores"]:  # whose reasons speak of a baseline's seed
        score["reason"] = None
    draft.rescored()
    return draft.write(root)


def shown(root):
    (entry,) = board.build(root).entries
    return entry.flags.organisation_proof


def test_a_stranger_under_an_organisation_is_marked(run, known, tmp_path):
    """One of the cheats: an entry under `facebook/` that nobody there knows of."""
    root = tmp_path / "submissions"
    folder = sent(run, root)
    assert shown(root) is None  # claimed
    assert received(folder, known, baseline=False)[0].ok
    built = board.build(root)
    (entry,) = built.entries
    assert (entry.flags.status, entry.flags.organisation_proof) == ("recomputed", None)
    assert "organisation unproved" in export.export(built, "markdown")
    assert "organisation unproved" in hub_results.eval_results(entry, "org/bimotion")


def test_a_proof_holds_for_the_files_that_it_was_given_for(run, known, tmp_path):
    root, proof = tmp_path / "submissions", organisations.BY_KEEPER
    folder = sent(run, root)
    assert received(folder, known, baseline=False, organisation_proof=proof)[0].ok
    assert shown(root) == proof
    assert received(folder, known, baseline=False)[1].organisation_proof == proof  # verified again
    assert "organisation unproved" not in export.export(board.build(root), "markdown")
    path = folder / "submission.json"
    path.write_text(path.read_text().replace("me@lab.example", "eve@x.example"))
    assert shown(root) is None
    assert received(folder, known, baseline=False)[1].organisation_proof is None


MEMBER = "alice is a member of facebook on the Hub"


def test_a_clear_no_withdraws_a_proof_by_the_hub(run, known, tmp_path):
    folder = sent(run, tmp_path / "submissions")

    def proof(given):
        return received(folder, known, baseline=False, organisation_proof=given)[1]

    assert proof(MEMBER).organisation_proof == MEMBER
    assert proof(None).organisation_proof == MEMBER
    assert proof(receipt.NO_PROOF).organisation_proof is None
    assert proof(None).organisation_proof is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [(MEMBER, f"says: {MEMBER}"), (receipt.NO_PROOF, "does not name the account as a member")],
)
def test_no_answer_of_the_hub_replaces_the_keepers_word(run, known, tmp_path, answer, words):
    """Else a name that looks alike, which the keeper's word keeps out, would stand as strong."""
    folder = sent(run, tmp_path / "submissions")
    received(folder, known, baseline=False, organisation_proof=organisations.BY_KEEPER)
    verdict, held = received(folder, known, baseline=False, organisation_proof=answer)
    assert held.organisation_proof == organisations.BY_KEEPER
    assert verdict.warnings[-1].startswith(f"organisation: the Hub {words}; your own word")
    verdict, _ = received(folder, known, baseline=False, organisation_proof=organisations.BY_KEEPER)
    assert not any(line.startswith("organisation:") for line in verdict.warnings)


def test_no_submission_and_no_receipt_says_more_than_it_may(run, known, tmp_path):
    root = tmp_path / "submissions"
    folder = sent(run, root)
    received(folder, known, baseline=False, organisation_proof="x\u202ey")
    assert shown(root) is None
    name = f"{folder.parent.name}/{folder.name}"
    with pytest.raises(SettingError, match="expected one submission, found 2"):
        receiving.receive(root, [name, name], known, organisation_proof="x")


def test_a_baseline_is_its_keepers(run, known, tmp_path):
    folder = Draft(run).write(tmp_path / "submissions")
    assert received(folder, known)[0].ok
    assert shown(tmp_path / "submissions") == organisations.BY_BASELINE


def test_receipts_of_before_have_no_proof(alone, root):
    folder = alone()
    path = submissions.receipt_of(folder)
    text = path.read_text()
    assert ' "organisation_proof": null,\n' in text
    path.write_text(text.replace(' "organisation_proof": null,\n', ""))
    held = receipt.load(receipt.folder_for(root), submissions.name_of(folder))
    assert (held.organisation_proof, shown(root)) == (None, None)


# --- commands -----------------------------------------------------------------------------------


def verified(hub, folder, whole_tree, *words):
    """`leaderboard verify` in a process that is online."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = kept | {"HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1"}
    command = ("leaderboard", "verify", folder, "--corpora", whole_tree, *words)
    return bimotion_process(*command, env=environment)


def test_verify_asks_the_hub(hub, run, whole_tree, tmp_path):
    folder = sent(run, tmp_path / "submissions")
    done = verified(hub, folder, whole_tree, "--author", "eve")
    assert (done.returncode, shown(tmp_path / "submissions")) == (0, None), done.stdout
    assert f"organisation: {UNPROVED}eve is not among its members" in done.stderr
    done = verified(hub, folder, whole_tree, "--author", "alice")
    assert done.returncode == 0
    assert shown(tmp_path / "submissions") == "alice is a member of facebook on the Hub"
    hub.failures.append(hub_server.Failure("GET", "/members", status=403))
    assert verified(hub, folder, whole_tree, "--author", "eve").returncode == 0
    assert shown(tmp_path / "submissions") == "alice is a member of facebook on the Hub"
    hub.failures.clear()
    assert verified(hub, folder, whole_tree, "--author", "eve").returncode == 0
    assert shown(tmp_path / "submissions") is None  # the Hub has said no: the proof is withdrawn


def test_verify_takes_one_word_about_one_submission(hub, folder, whole_tree):
    several = ("--author", "eve", "--organisation-proved")
    (tiny,) = (folder / "org__tiny").iterdir()
    done = verified(hub, tiny, whole_tree, *several)
    assert (done.returncode, "found several" in done.stderr) == (2, True)
    there_is_none = folder / "no-such-corpora"  # they are refused before it is looked at
    for words in (("--author", "eve"), ("--baseline",), ("--organisation-proved",)):
        done = verified(hub, folder, there_is_none, *words)
        message = f"{words[0]}: expected one submission, found"
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    done = verified(hub, tiny, there_is_none, "--baseline", "--author", "eve")
    assert (done.returncode, "found several" in done.stderr) == (2, True), done.stderr
    assert hub.requests == []


def test_the_webhook_says_whose_a_pull_request_is(hub, running, tmp_path):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "board")
    folder = tmp_path / "submissions" / "facebook__wav2vec9" / "0123456789ab"
    folder.mkdir(parents=True)
    for name in submissions.FILES:
        (folder / name).write_text("new")
    git("checkout", "-q", "-b", "request")
    git("add", "-A")
    git("commit", "-q", "-m", "request")
    git("update-ref", "refs/pr/7", "HEAD")
    _, client = running
    answers = {
        name: client.call("webhook", "answer", str(tmp_path), 7, name) for name in ("alice", "eve")
    }
    proved = "alice is a member of facebook on the Hub (verify it with --author alice)."
    assert answers["alice"].endswith(f"Organisation: {proved}")
    assert f"Organisation: {UNPROVED}eve is not among its members" in answers["eve"]


def test_flags_of_an_entry_are_told_on_its_page(page, built):
    """Every entry but the baseline is unproved, in the ranking and on its own page."""
    entry = next(each for each in built.entries if each.model == "lab/base")
    assert entry.flags.organisation_proof is None
    assert dataclasses.asdict(entry)["not_recognised"] == []
    address = f"#/run/{entry.id.replace('/', '%2F')}"
    page.go(address, "document.querySelector('#detail .lead')")
    text = page.text("#detail")
    assert "Organisation unproved" in text
    assert "Stated by the submitter" in text
