"""Residue check: whether anything removed is left, judged from what a search found before and after the purge.

A search that finds nothing shows nothing unless it could have found something: the same search, run before the purge,
has to find what is there then. That is the positive control; without it, or where a place could not be looked into,
the verdict is inconclusive. Near-duplicates have a control of their own: the search by likeness has to find the removed
items where they were.

Files that the searches cannot read as data, those that shards were read from, and those whose tensors have the shapes
of removed weights and may or may not come from them, are not residue. The check names them, so that a person can look,
and does not judge by them. How many files were compared, and how many only opened, is part of its answer.

What it rests on: the searches, :mod:`disgorge.locations.every` and :mod:`disgorge.request.near.find`, which say
themselves what they do not reach. Where a removed item, or a live shard, has no likeness, the check says so and judges
by the rest.
"""

from disgorge.evidence.checks import Check, Control, ResidueCase, Verdict
from lineage.plural import counted

NAME = "residue"
QUESTION = "Is anything of the removed data, or of the weights that learned from it, left in storage?"
_SHOWN = 20
"""Places a check names; the rest is counted."""


def residue(case: ResidueCase) -> Check:
    """Return the check over one request: fails on any trace, and names the first of them."""
    near = case.near
    controls = [
        Control("positive", "the same search, before the purge, finds what is there", case.before, case.before > 0)
    ]
    if case.live is not None:
        what = "the same search, run now for an item that is live, finds it"
        controls.append(Control("positive", what, case.live, case.live > 0))
    if near.sought:
        what = "the search by likeness finds removed items in the shards they were in"
        controls.append(Control("positive", what, case.recognized, case.recognized == near.sought))
    if case.left:
        verdict, answer = Verdict.FAIL, f"{len(case.left)} traces of what was removed are left"
    elif near.unjudged:
        verdict, answer = Verdict.FAIL, f"{near.words}, and it was not reviewed whether it is the same"
    elif case.blind:
        verdict, answer = Verdict.INCONCLUSIVE, f"not every place could be searched: {'; '.join(case.blind)}"
    elif not all(control.held for control in controls):
        lost = "; ".join(control.words for control in controls if not control.held)
        verdict, answer = Verdict.INCONCLUSIVE, f"a control did not hold, so it shows nothing: {lost}"
    else:
        verdict, answer = Verdict.PASS, f"nothing of what was removed is left in the places searched: {_reach(case)}"
    return Check(
        name=NAME,
        subject=case.request,
        question=QUESTION,
        answer=answer,
        value=len(case.left) + len(near.unjudged),
        threshold=0,
        n=case.places,
        verdict=verdict,
        controls=tuple(controls),
        seconds=case.seconds,
        detail={
            "erased": case.erased,
            "unsupported": list(case.sources),
            "residual": list(case.left[:_SHOWN]),
            "not enumerated": {
                "places": list(case.blind),
                "files": len(case.unread),
                "named": list(case.unread[:_SHOWN]),
            },
            "looked at": {"compared": case.compared, "only opened": case.opened},
            "not decided": {"files": len(case.undecided), "named": list(case.undecided[:_SHOWN])},
            "registered models": {
                "looked at": case.registered is not None,
                "unexplained": len(case.registered or ()),
                "named": list((case.registered or ())[:_SHOWN]),
            },
            "near-duplicates": {
                "removed items": case.items,
                "of these with a likeness": near.sought,
                "not judged": len(near.unjudged),
                "judged to be other items": len(near.distinct),
                "shards without likenesses": list(near.unseen),
            },
        },
    )


def _reach(case: ResidueCase) -> str:
    """Return in words what a search came to look at, and how."""
    undecided = f", of which {len(case.undecided):,} could not be decided" if case.undecided else ""
    return (
        f"{counted(case.compared, 'file')} compared by content{undecided}, {case.opened:,} only opened, "
        f"{len(case.unread):,} not read"
    )
