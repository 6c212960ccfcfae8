"""Which checks must pass for a guarantee: a plan says them beforehand, and no certificate is issued without them."""

from collections.abc import Iterable

from policies.taxonomy import Guarantee, Remedy

ALWAYS = ("lineage-closure", "residue")
"""No live path from the data, and no copy of it left: asked of every release, a destroyed one too."""

NEEDS_A_MODEL = {
    Guarantee.APPROXIMATE: ("answers", "membership", "weights-changed"),
    Guarantee.CERTIFIED: ("answers", "bound", "membership", "weights-changed"),
    Guarantee.EXACT: ("answers", "never-trained"),
}
"""What a guarantee requires beyond :data:`ALWAYS` where a model is left; ``bound`` recomputes (eps, delta).

``weights-changed`` is for what is not exact alone: an exact retraining may reach the very bytes there were.
"""


def required_checks(guarantee: Guarantee, remedies: Iterable[Remedy]) -> tuple[str, ...]:
    """Return the names of the checks a guarantee requires, given the remedies that are to reach it, sorted.

    A plan that only withdraws leaves no model, so nothing that would look at one is required.

    >>> required_checks(Guarantee.EXACT, [Remedy.DROP, Remedy.RETRAIN])
    ('answers', 'lineage-closure', 'never-trained', 'residue')
    >>> required_checks(Guarantee.EXACT, [Remedy.WITHDRAW])
    ('lineage-closure', 'residue')
    """
    chosen = set(remedies)
    if chosen == {Remedy.WITHDRAW}:
        return ALWAYS
    return tuple(sorted({*ALWAYS, *NEEDS_A_MODEL.get(guarantee, ())}))
