"""`bimotion leaderboard`: verify, build, serve, export."""

import functools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer

import bimotion.cli.options as options
from bimotion.cli.baselines import baselines
from bimotion.cli.options import argument, option, spread
from bimotion.cli.receipts import Keys, Receipts, Receiving
from bimotion.cli.reproduce import reproduce
from bimotion.cli.submit import SUBMISSIONS
from bimotion.cli.terminal import note, progress
from bimotion.errors import SettingError, printable, some

if TYPE_CHECKING:
    from bimotion.leaderboard.answer_key import AnswerKey
    from bimotion.leaderboard.board import Board

app = typer.Typer(
    help="Submissions: check them, make the board and its page.", no_args_is_help=True
)
Site = Annotated[Path, option("Folder of the page.", "--output", "-o")]


@dataclass(frozen=True)
class BoardOptions:
    """The submissions and receipts that a board is made of."""

    submissions: Annotated[Path, argument("DIR", "Folder of submissions: ORG__MODEL/RUN-KEY/.")] = (
        SUBMISSIONS
    )
    receipts: Receipts = None
    keys: Keys = None
    practice: options.Practice = False

    def board(self) -> "Board":
        """The board of verified submissions."""
        from bimotion.leaderboard import board

        return board.build(
            self.submissions, receipts=self.receipts, keys=self.keys, practice=self.practice
        )


@dataclass(frozen=True)
class Vouched:
    """The keeper's word on one submission: what it cannot say of itself."""

    baseline: Annotated[
        bool, option("The one submission is a baseline, bimotion/..., that you made yourself.")
    ] = False
    author: Annotated[
        str | None,
        option(
            "Account on the Hub that sent the one submission: ask the Hub whether it belongs to "
            "the organisation.",
            metavar="USER",
        ),
    ] = None
    organisation_proved: Annotated[
        bool, option("You know that the one submission comes from its organisation.")
    ] = False

    def check(self, n_submissions: int) -> None:
        """Raise SettingError for more than one word, and for a word on several submissions."""
        options = {
            "--baseline": self.baseline,
            "--author": self.author is not None,
            "--organisation-proved": self.organisation_proved,
        }
        given = [name for name, is_given in options.items() if is_given]
        if len(given) > 1:
            raise SettingError(
                "expected one of --baseline, --author and --organisation-proved, found several"
            )
        if given and n_submissions != 1:
            raise SettingError(f"{given[0]}: expected one submission, found {n_submissions}")

    def organisation_proof(self, identity: str) -> str | None:
        """The proof of the organisation for the receipt, as `receiving.receive` takes it."""
        from bimotion.leaderboard import organisations

        if self.organisation_proved:
            return organisations.BY_KEEPER
        if self.author is None:
            return None
        answer = organisations.membership(self.author, identity.partition("__")[0])
        note(f"organisation: {answer.line}")
        return answer.proof


@dataclass(frozen=True)
class Terms:
    """The terms of the host of a hidden test."""

    panel: ClassVar = "Of a hidden test"

    max_per_month: Annotated[
        int | None,
        option("Recomputations of a submitter in a month. (default: 3)", min=1, max=1000),
    ] = None
    percent: Annotated[
        int | None,
        option("Tell scores in steps of so many percent. (default: 1)", "--round", min=1, max=10),
    ] = None
    submitter: Annotated[
        str | None,
        option("Account that sent it, as you know it. (default: --author)", metavar="NAME"),
    ] = None

    def of(self, key: "AnswerKey", receipts: Path | None, author: str | None) -> "AnswerKey":
        """The answer key under these terms, if it is one of a hidden test; `author`: who sent the
        submission, where no submitter is named."""
        if key.hidden is None:
            names = {"max_per_month": "--max-per-month", "percent": "--round"}
            given = [names.get(name, "--submitter") for name, value in vars(self).items() if value]
            if given:
                raise SettingError(
                    f"{', '.join(given)}: expected with the answer key of a hidden test only "
                    "(bimotion labels export --hidden)"
                )
            return key
        if receipts is None:
            raise SettingError(
                "--receipts: expected a private folder, for receipts of a hidden test tell of "
                "labels (entry.npz); found none"
            )
        return replace(
            key, hidden=key.hidden.under(**vars(self) | {"submitter": self.submitter or author})
        )


@app.command()
@spread
def verify(
    path: Annotated[Path, argument("PATH", "One submission, or a folder of them.")],
    corpora: options.Chosen,
    vouched: Vouched,
    terms: Terms,
    labels: Annotated[
        Path | None, option("From `bimotion labels export`, instead of corpora.", metavar="FILE")
    ] = None,
    practice: options.Practice = False,
    *,
    receipts: Receiving,
) -> None:
    """Compute every score again from the predictions and check all that a submission says; exit
    code 1 where any is refused.

    A sound submission gets a receipt, outside of the submission, which holds for these very files,
    and is made ready for the board. On a board with keys it gets one only with --sign.
    """
    from bimotion.leaderboard import admission, labels_file, receiving, submission
    from bimotion.leaderboard.answer_key import AnswerKey

    is_single = any((path / name).exists() for name in submission.FILES)
    folders = [path] if is_single else submission.folders(path)
    if not folders:
        raise SettingError(f"{path}: expected submissions, <org>__<model>/<run key>/, found none")
    vouched.check(len(folders))
    if not practice and all(map(admission.is_for_practice, folders)):
        raise SettingError(f"{path}: {admission.PRACTICE}")
    # no `.` or `..` names one
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    root = Path(*parts[0][:-2]) if is_single else path
    keeper = receipts.keywords(root)
    if labels is not None:
        key = labels_file.load(labels)
    else:
        source = corpora.source(allow_missing=practice)
        key = AnswerKey.of_corpora(source, progress=progress())
    key = terms.of(key, receipts.receipts, vouched.author)
    identities = ["/".join(names[-2:]) for names in parts]
    verdicts = receiving.receive(
        root,
        identities,
        key,
        practice=practice,
        baseline=vouched.baseline,
        organisation_proof=vouched.organisation_proof(identities[0]),
        **keeper,
    )
    for folder, verdict in zip(folders, verdicts, strict=True):
        print(f"{printable(str(folder))}: {'verified' if verdict.ok else 'REFUSED'}")
        for line in (*verdict.problems, *(f"note: {warning}" for warning in verdict.warnings)):
            print(f"  {line}")
    if checked_only := keeper["keys"].why_unsigned:
        note(f"only checked, no receipt written: {checked_only}")
    if n_refused := sum(not verdict.ok for verdict in verdicts):
        note(f"{n_refused} of {len(folders)} submissions refused")
        raise typer.Exit(1)


app.command()(reproduce)
app.command()(baselines)


@app.command("check-pr")
@spread
def check_pr(
    base: Annotated[str, argument("BASE", "Commit or branch that it would be merged into.")],
    head: Annotated[str, argument("HEAD", "Its last commit.")],
    repository: Annotated[
        Path, option("A clone that has both.", "--repository", metavar="DIR")
    ] = Path("."),
    folder: Annotated[
        str | None, option("Of submissions. (default: leaderboard/submissions)", metavar="DIR")
    ] = None,
    baseline: Annotated[bool, option("Your own pull request: it may add a baseline.")] = False,
) -> None:
    """Check that a pull request adds one new submission and touches nothing else; exit code 1 where
    it does not. No file of it is opened, but for pointers of Git LFS."""
    from bimotion.leaderboard import pull_request

    reasons = pull_request.problems(
        repository, base, head, folder=folder or pull_request.FOLDER, baseline=baseline
    )
    print("REFUSED" if reasons else "one new submission: now `bimotion leaderboard verify`")
    for reason in reasons:
        print(f"  {reason}")
    if reasons:
        raise typer.Exit(1)


def _build(entries: BoardOptions, output: Path) -> None:
    from bimotion.io import records
    from bimotion.leaderboard import board, site, submission

    built = entries.board()
    print(site.build(built, output))
    _note_excluded(built, entries.submissions)
    if runs := submission.runs(entries.submissions):
        note(
            f"{len(runs)} of the folders in {printable(str(entries.submissions))} are runs of "
            "`bimotion evaluate`, not submissions: they cannot be verified or ranked; "
            f"`bimotion submit {printable(str(runs[0]))} ...` makes a submission of one"
        )
    earlier = output / "leaderboard.json"
    if records.names_version(earlier, board.VERSION_FIELD):
        note(f"{earlier} is an earlier board, now {board.BOARD_FILE}: remove it")


@app.command()
@spread
def build(entries: BoardOptions, output: Site = Path("site")) -> None:
    """Make board.json, its JSON Schema and a page that opens from the disk."""
    _build(entries, output)


def _note_excluded(board: "Board", submissions: Path, *, has_practice: bool = True) -> None:
    """Say what does not stand on a board, and why; `has_practice`: the command takes
    --practice."""
    from bimotion.leaderboard import submission

    for excluded in board.excluded:
        note(f"not on the board: {excluded.id}: {excluded.reason}")
    names, where = ", ".join(submission.FILES), printable(str(submissions))
    if skipped := submission.passed_over(submissions):
        shown = some(printable(str(folder)) for folder in skipped)
        note(f"passed over, for they hold none of {names}: {shown}")
    if board.is_for_practice and has_practice:
        note("the board is empty: all submissions are for practice, --practice shows them")
    if not board.entries and not board.excluded:
        note(
            f"the board is empty: no submissions in {where}: expected "
            f"{where}/<org>__<model>/<run key>/ with {names}"
        )


@app.command()
@spread
def serve(
    entries: BoardOptions,
    output: Site = Path("site"),
    port: Annotated[int, option(None, min=0, max=65535)] = 8000,
) -> None:
    """Build, and show the page on this machine alone until Ctrl-C."""
    import http.server

    _build(entries, output)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=output)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


@app.command()
@spread
def export(
    entries: BoardOptions,
    form: Annotated[Literal["markdown", "latex", "csv"], option(None, "--format")] = "markdown",
) -> None:
    """Print the board as a table."""
    from bimotion.leaderboard import export as exports

    board = entries.board()
    print(exports.export(board, form), end="")
    _note_excluded(board, entries.submissions)


@app.command("hub-results")
def hub_results(
    dataset: Annotated[
        str, argument("ORG/NAME", "Dataset repository of the benchmark on the Hub.")
    ],
    output: Annotated[Path, option("Folder for the files.", "--output", "-o")] = Path(
        "hub-results"
    ),
    submissions: Annotated[Path, option("Folder of submissions.", metavar="DIR")] = SUBMISSIONS,
    receipts: Receipts = None,
    keys: Keys = None,
    revision: Annotated[str | None, option("Commit of the dataset repository.")] = None,
    source: Annotated[str | None, option("Address of your board, as the source.")] = None,
) -> None:
    """Write evaluation results as the Hub shows them: .eval_results/*.yaml a model, eval.yaml of
    the dataset, model-index."""
    from bimotion.leaderboard import hub_results as results

    board = BoardOptions(submissions, receipts, keys).board()
    paths = results.write_hub_results(
        board, dataset, output, revision=revision, source=source, say=note
    )
    for path in paths:
        print(path)
    _note_excluded(board, submissions, has_practice=False)


@app.command("every-eval-ever")
@spread
def every_eval_ever(
    entries: BoardOptions,
    output: Annotated[Path, option("Folder for the files.", "--output", "-o")] = Path(
        "every-eval-ever"
    ),
    scores_only: Annotated[bool, option("Without a line a clip.")] = False,
) -> None:
    """Write every entry as a record of Every Eval Ever (schema 0.3), and its predictions where
    their labels may be published."""
    from bimotion.leaderboard import every_eval, receipt

    board = entries.board()
    written = every_eval.write(
        board,
        entries.submissions,
        output,
        receipts=entries.receipts,
        keys=receipt.keys_for(entries.submissions, entries.keys, receipts=entries.receipts),
        clips=not scores_only,
        say=note,
    )
    for made in written:
        print(made.record)
        if made.clips is not None:
            print(made.clips)
        elif not scores_only:
            note(f"{printable(str(made.record))}: no predictions: {made.reason}")
        if made.left_out:
            closed = ", ".join(f"{n} of {corpus}" for corpus, n in made.left_out.items())
            note(
                f"{printable(str(made.record))}: predictions left out: {closed}: their licences "
                "let nobody publish labels"
            )
    _note_excluded(board, entries.submissions)
