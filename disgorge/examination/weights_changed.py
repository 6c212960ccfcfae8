"""Whether an approximate removal changed what had learned from the removed data.

A removal that is shown by measurement alone could change nothing at all and be measured on items that never mattered:
an adapter that trained nothing, a method that returned what it had. So no part that learned from the removed data may
be in the release afterwards with the bytes it had. What other bytes are worth, the probes say. An exact retraining may
reach the same bytes: it ran without the data.
"""

from collections.abc import Collection, Mapping

from disgorge.evidence.checks import Check, Verdict
from lineage.records import Component

NAME = "weights-changed"
QUESTION = "Are the parts that learned from the removed data other than before?"


def weights_changed(
    release: str,
    before: Collection[Component],
    after: Collection[Component],
    *,
    learned: Mapping[str, str],
    exact: Collection[str] | None,
) -> tuple[Check, ...]:
    """Return the check on the parts of a release ``before`` and ``after``; none where ``exact`` is None: all of it is.

    ``learned`` are those of before that learned from the removed data, digest by name, ``exact`` the names of those
    that may come out with the bytes they had. A part under a new name with the bytes of another of them is unchanged
    as well; one that had these bytes before, and did not learn from the data, is not.
    """
    if exact is None:
        return ()
    others = {(each.name, each.digest) for each in before if each.name not in learned or each.name in exact}
    old = {digest for name, digest in learned.items() if name not in exact}
    same = sorted(each.name for each in after if each.digest in old and (each.name, each.digest) not in others)
    if same:
        answer = (
            f"No, the removal changed no byte of {', '.join(same)}; a removal that is not exact and changes nothing "
            "removes nothing"
        )
    else:
        answer = f"Yes, none of the {len(old)} parts that learned from it is left as it was"
    verdict = Verdict.FAIL if same else Verdict.PASS
    return (Check(NAME, release, QUESTION, f"{answer}.", len(same), 0, len(old), verdict),)
