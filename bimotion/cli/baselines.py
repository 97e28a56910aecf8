"""`bimotion leaderboard baselines`."""

from pathlib import Path
from typing import Annotated

import typer

import bimotion.cli.options as options
from bimotion.cli.options import option, spread
from bimotion.cli.receipts import Receiving
from bimotion.cli.submit import SUBMISSIONS
from bimotion.cli.terminal import note, progress, warn_once
from bimotion.errors import printable
from bimotion.evaluation.presets import preset_named


@spread
def baselines(
    corpora: options.Chosen,
    preset: Annotated[options.PresetName, option("What they are asked.")] = "benchmark",
    submissions: Annotated[Path, option("Folder of submissions.", metavar="DIR")] = SUBMISSIONS,
    output: options.Output = Path("results"),
    practice: options.Practice = False,
    *,
    receipts: Receiving,
) -> None:
    """Run bimotion/majority, bimotion/random and bimotion/prosody, and enter each as your own:
    submitted, verified as a baseline, with a receipt.

    What is finished is not done again. Then `leaderboard build` makes the board.
    """
    from bimotion.evaluation import run
    from bimotion.leaderboard import admission, receiving, submission
    from bimotion.leaderboard.answer_key import AnswerKey
    from bimotion.leaderboard.entry import MIN_SEEDS

    keywords = corpora.keywords | {"allow_missing": practice}
    asked = [
        keywords
        | {"model": name, "preset": preset, "output": output, "progress": progress()}
        # the others have nothing random, and one seed
        | {"seeds": range(MIN_SEEDS) if name == "bimotion/random" else preset_named(preset).seeds}
        for name in admission.BASELINES
    ]
    warn_once()
    # what no board takes is refused before anything is run
    keeper = receipts.of_writers(submissions)
    key = AnswerKey.of_corpora(corpora.source(allow_missing=practice), progress=progress())
    n_refused, closed = 0, set()
    for result in run.evaluate_all(asked):
        closed.update(admission.restricted(result))
        folder = submission.pack(
            result.folder(output), submissions, contact=None, trained_on=[], practice=practice
        )
        name = folder.relative_to(submissions).as_posix()
        [verdict] = receiving.receive(
            submissions, [name], key, practice=practice, baseline=True, **keeper
        )
        print(f"{printable(str(folder))}: {'verified' if verdict.ok else 'REFUSED'}")
        for problem in verdict.problems:
            print(f"  {problem}")
        n_refused += not verdict.ok
    if n_refused:
        note(f"{n_refused} of {len(asked)} baselines refused")
        raise typer.Exit(1)
    if closed:
        names = ", ".join(sorted(closed))
        note(
            f"note: the predictions hold labels of {names}, whose licences let nobody publish "
            "them: keep these submissions where all who read them have these corpora"
        )
