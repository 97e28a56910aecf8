"""`bimotion check-model`."""

import json
import sys
from typing import Annotated

import typer

from bimotion.cli.options import AsJson, Device, RequireSafetensors, Revision, TrustRemoteCode
from bimotion.cli.terminal import show
from bimotion.errors import BimotionError, SettingError


def check_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Hub id or folder of an audio model, or bimotion/prosody."
        ),
    ],
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
    require_safetensors: RequireSafetensors = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Load a model, send made-up clips through it, say what it hears and what a run costs; exit
    code 1 if it cannot be used, or not with every clip."""
    from bimotion.evaluation.model_check import check_model as check
    from bimotion.models.spec import ModelSpec

    spec = ModelSpec(
        model,
        revision=revision,
        trust_remote_code=trust_remote_code,
        device=device,
        require_safetensors=require_safetensors,
    )
    try:
        found = check(spec)
    except SettingError:  # says nothing of the model
        raise
    except BimotionError as error:
        print(f"bimotion: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        from bimotion.analysis.paper_tables import model_check_table

        show(model_check_table(found))
    if any(text != "ok" for text in found.clips.values()):
        print(f"bimotion: {found.model}: not every made-up clip went through", file=sys.stderr)
        raise typer.Exit(1)
