"""The address of the Hugging Face Hub."""

import os

DEFAULT = "https://huggingface.co"


def hub_endpoint() -> str:
    """The address of the Hub, or of what HF_ENDPOINT names in its place, without a slash at its
    end.

    Example::

        f"{hub_endpoint()}/api/datasets/org/name"
    """
    return (os.environ.get("HF_ENDPOINT") or DEFAULT).rstrip("/")
