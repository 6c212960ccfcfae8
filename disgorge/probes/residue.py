"""Whether anything of what was removed is left, judged from what a search found before the purge and after it.

A search that finds nothing shows nothing unless it could have found something: the same search, run before the purge,
has to find what is there then. That is the positive control; without it, or where a place could not be looked into,
the verdict is inconclusive.

What it rests on: the search, which is :mod:`disgorge.residue_search` and says itself what it does not reach.
"""

from disgorge.evidence import Check, Control, ResidueCase, Verdict

NAME = "residue"
QUESTION = "Is anything of the removed data, or of the weights that learned from it, left in storage?"
_SHOWN = 20
"""Places a check names; the rest is counted."""


def residue(case: ResidueCase) -> Check:
    """Return the check over one request: fails on any trace, and names the first of them."""
    control = Control(
        "positive", "the same search, before the purge, finds what is there", case.before, case.before > 0
    )
    if case.left:
        verdict, answer = Verdict.FAIL, f"{len(case.left)} traces of what was removed are left"
    elif case.blind:
        verdict, answer = Verdict.INCONCLUSIVE, f"not every place could be searched: {'; '.join(case.blind)}"
    elif not control.held:
        verdict, answer = Verdict.INCONCLUSIVE, "the search found nothing before the purge either, so it shows nothing"
    else:
        verdict, answer = Verdict.PASS, "nothing of what was removed is left in the places searched"
    return Check(
        name=NAME,
        subject=case.request,
        question=QUESTION,
        answer=answer,
        value=len(case.left),
        threshold=0,
        n=case.places,
        verdict=verdict,
        controls=(control,),
        seconds=case.seconds,
        detail={"left": list(case.left[:_SHOWN]), "not searched": list(case.blind)},
    )
