"""Short runs on a few synthetic clips."""

from bimotion.evaluation import run
from bimotion.models.training import FinetuneOptions

ONE_EPOCH = FinetuneOptions(epochs=1, batch_size=16)


FOUR = {0: "angry", 1: "happy", 2: "neutral", 3: "calm"}


def evaluated(model, root, output, **options):
    result = run.evaluate(model, data_dir=root, output=output, allow_missing=True, **options)
    return result, result.folder(output)


def command(model, root, output, *more) -> list[str]:
    return [
        "-m",
        "bimotion",
        "evaluate",
        "-m",
        str(model),
        "--track",
        "finetune",
        "--corpora",
        str(root),
        "-o",
        str(output),
        "--allow-missing",
        "--protocol",
        "in-group",
        "--schema",
        "valence",
        "--learning-rate",
        "1e-3",
        *more,
    ]
