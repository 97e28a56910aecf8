"""Check each pull request that comes to a board on the Hub, and answer in its discussion.

A Space with this file as app.py, `gradio`, `huggingface_hub` and `bimotion` in its
requirements.txt, and two secrets: HF_TOKEN, which may write discussions of the dataset repository,
and WEBHOOK_SECRET, that of the webhook (huggingface.co/settings/webhooks, events of discussions).

Only git's listing of the request is looked at. Nothing of it is opened or run here. The Hub is
asked whether who opened it belongs to the organisation that the submission stands under.
"""

import subprocess
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, WebhookPayload, WebhooksServer

from bimotion.errors import SettingError
from bimotion.leaderboard import organisations, pull_request

FOLDER = "submissions"
"""Of submissions in the dataset repository."""


def answer(address: str, number: int, author: str | None = None) -> str:
    """What the discussion of pull request `number` of a repository is told; `author`: who opened
    it."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder)
        refs = ["refs/heads/main:refs/heads/main", f"refs/pr/{number}:refs/heads/request"]
        for words in (["init", "-q", "--bare"], ["fetch", "-q", "--", address, *refs]):
            subprocess.run(["git", *words], cwd=clone, check=True, timeout=600)
        words = ["git", "rev-parse", "--short=12", "request"]
        commit = subprocess.run(words, cwd=clone, check=True, capture_output=True, text=True)
        head = commit.stdout.strip()
        try:
            reasons = pull_request.problems(clone, "main", "request", folder=FOLDER)
            if not reasons:
                added = pull_request.submission_of(clone, "main", "request", folder=FOLDER)
        except SettingError as error:  # such as a history that never began in this repository
            reasons = [str(error)]
    if not reasons:
        return (
            f"Commit {head}: one new submission and nothing else. A maintainer will verify it. "
            f"What comes later was not looked at.{_whose(added, author)}"
        )
    lines = "\n".join(f"    {reason}" for reason in reasons)
    return f"Commit {head} is not one new submission and nothing else:\n\n{lines}"


def _whose(submission: str, author: str | None) -> str:
    """Whether the author belongs to the organisation of a submission, and what a maintainer does
    with it."""
    if author is None:
        return ""
    asked = organisations.membership(author, submission.partition("__")[0])
    how = f" (verify it with --author {author})" if asked.proof else ""
    return f"\n\nOrganisation: {asked.line}{how}."


def served() -> WebhooksServer:
    """The server; `.launch()` runs it."""
    server = WebhooksServer()

    @server.add_webhook("/check")
    def check(payload: WebhookPayload) -> dict[str, bool]:
        asked = payload.discussion
        if asked is None or not asked.isPullRequest or payload.event.action != "create":
            return {"checked": False}
        address = f"https://huggingface.co/datasets/{payload.repo.name}"
        opened = HfApi().get_discussion_details(payload.repo.name, asked.num, repo_type="dataset")
        text = answer(address, asked.num, opened.author)
        HfApi().comment_discussion(payload.repo.name, asked.num, text, repo_type="dataset")
        return {"checked": True}

    return server


if __name__ == "__main__":
    served().launch()
