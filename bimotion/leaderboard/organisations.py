"""The organisation that a submission stands under: unproved unless its submitter belongs to it on
the Hub, or the keeper says so.

The answer stands in the receipt (`organisation_proof`), like all that a keeper knows and a
submission cannot say of itself.
"""

from typing import NamedTuple

from bimotion.errors import HubError, printable
from bimotion.leaderboard.lookalikes import is_plain
from bimotion.leaderboard.receipt import NO_PROOF, Receipt

BY_KEEPER = "the keeper of this board says so"
BY_BASELINE = "the keeper of this board made the run"
MAX_PROOF = 300


class Membership(NamedTuple):
    """The answer of the Hub about an author and an organisation."""

    proof: str | None
    """Why the author may send for it, as receipts hold it; NO_PROOF: the Hub says no; None: the Hub
    could not be asked."""
    line: str
    """The same, or why there is none, in a line."""


class Beside(NamedTuple):
    """A proof for the receipt, after an earlier one was looked at."""

    proof: str | None
    """As `Membership.proof`."""
    line: str | None
    """Why it is another than the one that was given, in a line; None: it is the same."""


def membership(author: str, organisation: str) -> Membership:
    """Ask the Hub whether the author of a pull request belongs to an organisation.

    Args:
        author: Account on the Hub that opened the pull request.
        organisation: That the submission stands under.

    Example::

        membership("alice", "lab").line        # "alice is a member of lab on the Hub"
    """
    from bimotion.data.huggingface import membership as on_hub

    try:
        is_member = on_hub.is_member(author, organisation)
    except HubError as error:
        reason = printable(str(error))
        return Membership(None, f"{organisation} is unproved: the Hub could not be asked: {reason}")
    if not is_member:
        return Membership(
            NO_PROOF,
            f"{organisation} is unproved: {author} is not among its members that the Hub shows",
        )
    if author.casefold() == organisation.casefold():
        proof = f"{author} is the submitter's own name on the Hub"
    else:
        proof = f"{author} is a member of {organisation} on the Hub"
    return Membership(proof, proof)


def beside_word_of_keeper(given: str | None, earlier: str | None) -> Beside:
    """The proof to write where the receipt of the same files may hold the keeper's own word: no
    answer of the Hub replaces or withdraws it.

    Args:
        given: as of `receiving.receive`.
        earlier: `organisation_proof` of the earlier receipt.

    >>> beside_word_of_keeper("alice is a member of lab on the Hub", BY_KEEPER).proof == BY_KEEPER
    True
    >>> beside_word_of_keeper(NO_PROOF, "alice is a member of lab on the Hub")
    Beside(proof='', line=None)
    """
    if earlier != BY_KEEPER or given in (None, BY_KEEPER):
        return Beside(given, None)
    answer = "does not name the account as a member" if given == NO_PROOF else f"says: {given}"
    return Beside(
        BY_KEEPER,
        f"organisation: the Hub {answer}; your own word (--organisation-proved) stays in the "
        "receipt: to withdraw it, remove the receipt's folder and verify again",
    )


def proof_in(receipt: Receipt) -> str | None:
    """The proof in a receipt, as a board shows it; None: unproved."""
    if receipt.baseline:
        return BY_BASELINE
    proof = receipt.organisation_proof
    return proof if proof and len(proof) <= MAX_PROOF and is_plain(proof) else None


def is_by_keeper(proof: str | None) -> bool:
    """Return whether it is the keeper who says it. Anybody can open an account on the Hub under a
    name that looks like another's, so only this decides between two such names."""
    return proof in (BY_KEEPER, BY_BASELINE)
