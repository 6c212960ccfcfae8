"""What readers need of a fact about a request: its fields and their types.

The ledger takes any fact; one that another program appended in a form of its own is refused where the docket is read,
before anything is done on what it says.
"""

from lineage.ledger.chain import Fact

_FORMS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "request-amended": {"request": str, "amended": dict, "changed": list, "because": str},
    "plan": {"request": str, "plan": str, "impact": str},
    "step": {"plan": str, "step": str, "result": dict, "seconds": (int, float)},
    "request-event": {"request": str, "kind": str, "on": str, "by": str, "facts": dict},
    "decision-confirmed": {"request": str, "decision": str, "decided": str},
    "examination": {"plan": str, "release": str, "examination": str},
    "reexecuted": {"recipe": str, "component": str},
    "purged": {"request": str, "shards": list, "objects": list},
    "report": {"bundle": str, "verdict": str},
    "loss-accepted": {"first": int, "last": int, "digest": str},
    "release-served-at": {"name": str, "alias": str, "place": str, "by": str, "stopped": bool},
    "overlap": {"request": str, "by_request": str, "removed": int, "of": int, "items": int},
    "fulfilled": {"request": str, "by_request": str, "plan": str, "impact": str, "step": str, "result": dict},
    "hold": {"request": str, "on": bool, "reason": str},
    "bundle-exported": {"request": str, "name": str, "shards": list},
}
_WHERE_GIVEN: dict[str, dict[str, type | tuple[type, ...]]] = {"plan": {"with": list, "own": dict}}
"""Fields that not every fact of a kind has."""


def require_form(fact: Fact) -> None:
    """Raise ``KeyError`` or ``TypeError`` unless a fact has what is read of its kind; other kinds are not looked at."""
    given = {name: kind for name, kind in _WHERE_GIVEN.get(fact.kind, {}).items() if name in fact.body}
    for name, kind in (_FORMS.get(fact.kind, {}) | given).items():
        value = fact.body[name]
        if not isinstance(value, kind) or (isinstance(value, list) and not all(isinstance(x, str) for x in value)):
            raise TypeError(name)
