"""The public names of Python with their docstrings, behind the rows of the page of the API."""

import re

import bimotion

ROW = re.compile(r"^\| `bimotion\.(\w+)` \|", re.MULTILINE)
WHOLE = {"BimotionError": "bimotion.errors"}
"""Name -> the module that is shown in its place."""
SECTION = re.compile(r"^(?=## )", re.MULTILINE)


def documented(markdown: str) -> str:
    """The page of the API, each table followed by the docstrings of its names."""
    parts = []
    for section in SECTION.split(markdown):
        parts.append(section)
        for name in ROW.findall(section):
            if name in WHOLE:
                parts.append(f"\n::: {WHOLE[name]}\n")
            elif name in bimotion._PUBLIC:
                parts.append(f"\n::: {bimotion._PUBLIC[name]}.{name}\n")
    return "".join(parts)
