"""Names of models are text that a stranger gave: no control character, no markup."""

import sys

from bimotion.cli.terminal import show
from bimotion.io.tables import Table

HOSTILE = "a[/b] [red]\x1b[31m:smile:\nc"
TABLE = Table(HOSTILE, [HOSTILE, "b"], [[HOSTILE, "1"]], [HOSTILE])


def test_a_name_in_a_table_is_one_printable_line(capsys, monkeypatch):
    show(TABLE)
    piped = capsys.readouterr().out
    assert piped.count("a[/b] [red]\N{REPLACEMENT CHARACTER}[31m:smile:") == 4
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show(TABLE)
    shown = capsys.readouterr().out
    assert shown.count("a[/b]") == 4
    assert "\x1b[31m" not in piped + shown
