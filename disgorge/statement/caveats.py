"""The sentences of a report on what is not promised and not shown, in three groups: of this removal, machine, always.

The statement signs them in two flat lists, which are verified as they are; the groups are made when a page is drawn,
from these lists and the evidence. Every sentence is in one group.
"""

from dataclasses import dataclass

from disgorge.statement.limitations import ALWAYS_NOT_SHOWN, of_the_machine
from disgorge.statement.statement import ALWAYS_NOT_PROMISED, ReportCase


@dataclass(frozen=True, slots=True)
class Caveats:
    """What is not promised and not shown, by what it is about."""

    of_this_removal: tuple[str, ...]
    of_this_machine: tuple[str, ...]
    always: tuple[str, ...]

    @property
    def groups(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The groups with their headings; without those that have no sentence."""
        all_groups = (
            ("About this removal", self.of_this_removal),
            ("About this machine", self.of_this_machine),
            ("Always", self.always),
        )
        return tuple((heading, sentences) for heading, sentences in all_groups if sentences)


def caveats(case: ReportCase) -> Caveats:
    """Return every sentence on what a report does not promise and its evidence does not show, each once."""
    said = tuple(dict.fromkeys((*case.not_promised, *case.not_shown)))
    machine = of_the_machine(case.evidence)
    always = {*ALWAYS_NOT_PROMISED, *ALWAYS_NOT_SHOWN}
    return Caveats(
        of_this_removal=tuple(each for each in said if each not in always and each not in machine),
        of_this_machine=tuple(each for each in said if each in machine),
        always=tuple(each for each in said if each in always),
    )
