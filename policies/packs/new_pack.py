"""Template of a new pack: a right, exceptions in a table, a period, a duty of a refusal and cases; it loads as it is.

What must be filled in is marked ``read: false``, so that until then the pack sends every request to a person.

>>> "pack: acme-terms" in begin("acme-terms").splitlines()
True
"""

from collections.abc import Iterable
from pathlib import Path

from policies.errors import BadPack
from policies.packs.conditions import IMPACT_NAMES, REQUEST_NAMES
from policies.packs.load import load_packs
from policies.packs.rules import RESERVED_PACKS, is_name
from policies.taxonomy import Confinement, Refusal

_TEMPLATE = Path(__file__).with_name("new_pack.template")
_REFUSALS = [each for each in Refusal if each is not Refusal.CLAIM_NOT_COVERED]


def begin(name: str) -> str:
    """Return the text of a new pack; :class:`BadPack` for a name that no pack can have, or that a shipped one has."""
    if not is_name(name):
        raise BadPack(f"invalid pack name {name[:60]!r}: use lower case, digits and hyphens, such as acme-terms")
    if name in RESERVED_PACKS or name in {pack.pack for pack in load_packs()}:
        raise BadPack(f"the name {name} is taken by a pack that is shipped, or by the house; choose another")
    return _filled(_TEMPLATE.read_text(encoding="utf-8")).replace("NAME", name)


def _filled(text: str) -> str:
    """Return the text with the lists that its comments name, each as this software has it."""
    lists: dict[str, Iterable[str]] = {
        "REFUSALS": _REFUSALS,
        "LEVELS": Confinement,
        "REQUEST_NAMES": REQUEST_NAMES,
        "IMPACT_NAMES": IMPACT_NAMES,
    }
    for place, listed in lists.items():
        text = text.replace(place, ", ".join(listed))
    return text
