"""Questions of the tests of exports to the board of few submissions (leaderboard/conftest.py)."""

CELLS = ("eng_eld", "eng_adu", "zho_eld", "zho_adu")
HOSTILE = r"=cmd|' /C calc'!A0 <b>&[x](javascript:1)`_*\{}~^%$#"


def of(built, model):
    """The entry of a model."""
    return next(entry for entry in built.entries if entry.model == model)


def values(entry):
    """Mean and cells in %, from the entry's own rows."""
    cells = {row.test: row.value for row in entry.scores if row.transfer == "in-group"}
    means = [entry.headline["in-group/inference"].value, *(cells[cell] for cell in CELLS)]
    return [100 * value for value in means]
