"""`bimotion check-model`."""

from typing import Annotated

import typer

import bimotion.cli.options as options
from bimotion.cli.options import argument, spread
from bimotion.cli.terminal import note, show, show_json
from bimotion.errors import BimotionError, SettingError


@spread
def check_model(
    model: Annotated[
        str, argument("MODEL", "Hub id or folder of an audio model, or bimotion/prosody.")
    ],
    loading: options.Loading,
    as_json: options.AsJson = False,
) -> None:
    """Load a model, send made-up clips through it, say what it hears and what a run costs; exit
    code 1 if it cannot be used, or not with every clip."""
    from bimotion.analysis.paper_tables import model_check_table
    from bimotion.evaluation import model_check

    try:
        check = model_check.check_model(loading.spec(model))
    except SettingError:  # says nothing of the model
        raise
    except BimotionError as error:
        note(f"bimotion: {error}")
        raise typer.Exit(1) from None
    if as_json:
        show_json(check.to_dict())
    else:
        show(model_check_table(check))
    if any(text != "ok" for text in check.clips.values()):
        note(f"bimotion: {check.model}: not every made-up clip went through")
        raise typer.Exit(1)
