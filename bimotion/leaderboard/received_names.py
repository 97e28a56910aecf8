"""Names that are kept free for those who have a receipt: a new name that can be mistaken for one of
them is refused."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bimotion.errors import RecordError
from bimotion.leaderboard import lookalikes, organisations, receipt
from bimotion.leaderboard.signature import BoardKeys


@dataclass(frozen=True)
class Folders:
    """A board whose receipts are asked for names."""

    submissions: Path
    receipts: Path
    keys: BoardKeys
    practice: bool
    """It is one for practice: there, receipts for practice count too."""

    def names(self, wanted: Iterable[str]) -> dict[str, bool]:
        """<organisation>__<model> -> whether the keeper says whose it is; of those wanted names of
        which a receipt holds."""
        names: dict[str, bool] = {}
        for model in wanted:
            for path in (self.receipts / model).glob(f"*/{receipt.RECEIPT_FILE}"):
                held = self._holding(path.parent.relative_to(self.receipts).as_posix())
                if held is not None:
                    is_known = organisations.is_by_keeper(organisations.proof_in(held))
                    names[model] = names.get(model, False) or is_known
        return names

    def _holding(self, name: str) -> receipt.Receipt | None:
        """The receipt of a submission, if it holds for the files that lie there now. Where these
        cannot be read (pointers of Git LFS), nobody knows, and it counts."""
        held = receipt.earlier(self.receipts, name, self.keys)
        if held is None or not (self.submissions / name).is_dir():
            return None
        try:
            hashes = receipt.digests(self.submissions / name)
        except RecordError:
            hashes = held.sha256
        reason = held.why_not(name, hashes, practice=self.practice)
        return held if reason is None else None


def why_mistaken(names: Sequence[str], board: Folders, is_proved: bool) -> dict[str, str]:
    """Find the submissions whose names are refused: another that has a receipt looks like it, or
    another that is verified with it.

    Args:
        names: `<organisation>__<model>/<run key>` of those that are verified.
        board: their folders.
        is_proved: the keeper says of the one submission whose it is, so only a name of which the
            keeper says the same keeps it out.

    Returns:
        Submission -> why its name is refused.
    """
    new = {name.partition("/")[0] for name in names}
    there = {path.name for path in board.receipts.glob("*") if path.is_dir()}
    # the files of a large board are read only where names look alike
    alike = lookalikes.mistaken(new | there)
    with_new = {model for model in alike if model in new or not new.isdisjoint(alike[model])}
    earlier = board.names(sorted(with_new & there))
    proved = {model for model, is_known in earlier.items() if is_known}
    if is_proved:
        proved |= new
    reasons = {}
    for model, similar in lookalikes.mistaken(new | earlier.keys()).items():
        received = [other for other in similar if other in earlier]
        if model in proved:
            received = [other for other in received if other in proved]
        if model in new and (received or model not in earlier.keys() | proved):
            reasons[model] = _mistaken_for(model, received, similar, proved)
    return {name: reasons[model] for name in names if (model := name.partition("/")[0]) in reasons}


def _mistaken_for(
    model: str, received: Sequence[str], similar: Sequence[str], proved: Collection[str]
) -> str:
    """Say which names keep one out, and what a keeper can do."""
    listed = ", ".join(received or similar)[:200]
    reason = f"name: {model} can be mistaken for {listed}, that "
    if not received:
        return f"{reason}is verified at the same time: remove one"
    if model not in proved and proved.isdisjoint(received):
        return (
            f"{reason}has a receipt. If you know that {model} comes from the organisation that it "
            "names, verify it with --organisation-proved: then it stands instead"
        )
    return f"{reason}has a receipt"
