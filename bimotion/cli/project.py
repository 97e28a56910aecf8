"""`bimotion project` and `bimotion coverage`."""

from pathlib import Path
from typing import Annotated

import bimotion.cli.options as options
from bimotion.cli.options import argument, option, spread
from bimotion.cli.terminal import note, progress, show, show_json
from bimotion.errors import SettingError
from bimotion.io.bounds import MAX_COUNT, MAX_SEED

Neighbours = Annotated[
    int,
    option(
        "Nearest neighbours that coverage looks at.", "--neighbours", "-k", min=1, max=MAX_COUNT
    ),
]


@spread
def project(
    model: Annotated[str, option("As of `bimotion evaluate`.", "--model", "-m")],
    train: Annotated[list[str], option("Training sets, a panel each, e.g. yue,yue+zho,yue+eng.")],
    test: Annotated[str, option("Cell or union that is tested, e.g. yue_adu.")],
    classes: Annotated[list[str], option("Show only these, e.g. happiness,sadness,neutral.")] = (),
    track: Annotated[options.TrackName, option("probe or finetune")] = "probe",
    like: Annotated[
        Path | None,
        option("Folder of a finished run: its track and training options.", metavar="DIR"),
    ] = None,
    *,
    loading: options.Loading,
    corpora: options.Corpora,
    output: options.Output = Path("results"),
    question: options.Question,
    seed: Annotated[
        int, option("Of the head or the training, and of the map.", min=0, max=MAX_SEED)
    ] = 0,
    neighbours: Neighbours = 5,
    as_json: options.AsJson = False,
) -> None:
    """Draw test clips over training sets in a model's feature space (Figures 2 and 3), and measure
    how these cover them."""
    from bimotion.analysis.feature_space import project as projecting
    from bimotion.analysis.feature_space import record
    from bimotion.evaluation.task import TaskSpec

    view = projecting.project(
        loading.spec(model),
        projecting.ViewSpec(
            tuple(options.names(train) or ()), test, options.names(classes), neighbours
        ),
        TaskSpec.of(seeds=seed, **vars(question)),
        corpora.source(),
        track=_track(track, like),
        output=output,
        progress=progress(),
    )
    if as_json:
        show_json(view)
        return
    show(record.table(view))
    for reason, n in view.left_out.items():
        print(f"not shown: {n} clips of {reason}")
    for path in record.files_of(view, output):
        print(path)


def _track(track: str, like: Path | None):
    """The track with its options, or that of a finished run; raises SettingError where both are
    given."""
    from bimotion.evaluation.tracks import TRACKS, configured
    from bimotion.results import rescoring

    if like is None:
        return configured(track)
    if track != "probe":
        raise SettingError("--like: expected without --track, which it says itself")
    result = rescoring.read_result(like)
    if result.adapt is not None:
        note(f"{like}: adapted ({result.adapt.name}); shown are the features before adaptation")
    return TRACKS[result.track].recorded(result.model)


@spread
def coverage(
    folder: Annotated[Path, argument("DIR", "Folder of a finished run.")],
    model: Annotated[
        str | None, option("Where its model lies, if not on the Hub.", "--model", "-m")
    ] = None,
    device: options.Device = None,
    *,
    corpora: options.Folders,
    neighbours: Neighbours = 5,
    as_json: options.AsJson = False,
) -> None:
    """Measure whether coverage of the test by the training clips, or closeness of languages, goes
    with better scores in a run."""
    from bimotion.analysis.feature_space import gains, gains_tables

    measured = gains.gains(
        folder, corpora.source(), model=model, k=neighbours, device=device, progress=progress()
    )
    if as_json:
        show_json(measured)
        return
    show(*gains_tables.tables_of(measured))
    print(folder / gains.GAINS_FILE)
