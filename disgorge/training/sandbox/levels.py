"""Levels of confinement."""

from dataclasses import dataclass

from policies.taxonomy import Confinement as Level


@dataclass(frozen=True, slots=True)
class Reached:
    """A level."""

    level: Level
    gaps: tuple[str, ...] = ()
    why: str = ""
    raise_by: str = ""


UNCONFINED = Reached(Level.PROCESS)
"""What is carried out in a process that nothing confines."""


def reached() -> Reached:
    """Return the level."""
    return Reached(Level.LANDLOCK)
