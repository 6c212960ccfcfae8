"""Policy packs: listing rules and facts, beginning a pack, and running cases against packs."""

from dataclasses import dataclass
from pathlib import Path

from disgorge.errors import WrongUse
from disgorge.result import Result
from lineage.plural import counted
from lineage.records import Json, plain
from lineage.shown import table
from policies.cases import run_cases as running
from policies.cases.run_cases import CaseResult, run_files
from policies.packs.facts import known_facts
from policies.packs.load import load_packs, pack_files, packs_digest
from policies.packs.new_pack import begin
from policies.packs.rules import FactSpec, Pack

CASES = Path("tests/policies/cases")
"""Where a repository keeps its cases, as this one does."""


@dataclass(frozen=True, slots=True)
class Packs(Result):
    """Policy packs, with the digest of all of them."""

    digest: str
    packs: tuple[Pack, ...]

    def plain(self) -> Json:
        """Return each pack with its digest and the rules whose text was not read."""
        listed = [plain(p) | {"digest": p.digest, "unread": [rule.id for rule in p.unread]} for p in self.packs]
        return {"digest": self.digest, "packs": listed}


def list_packs(packs: Path | None = None) -> Packs:
    """Return the policy packs and their rules, each with its source; those shipped by default."""
    loaded = load_packs(packs)
    rows = [
        (pack.pack, rule.id, rule.effect.outcome or "", rule.dated, "" if rule.all_read else "not read", rule.citation)
        for pack in loaded for rule in pack.rules
    ]  # fmt: skip
    shown = [table("pack", "rule", "alone", "dated", "text", "source", rows=rows)]
    lines = []
    for pack in loaded:
        unread = f"{len(pack.unread)} not read, so they only send to a person" if pack.unread else "every text read"
        rules = counted(len(pack.rules), "rule")
        lines.append(f"{pack.pack}: {rules}, {unread}; shown by {pack.confinement.words}")
    lines.append(f"{counted(len(loaded), 'pack')}, digest {packs_digest(loaded)}")
    return Packs(packs_digest(loaded), loaded, shown=(*shown, *lines))


@dataclass(frozen=True, slots=True)
class Facts(Result):
    """The facts that rules may ask for, by name, and the packs that ask for each."""

    facts: dict[str, FactSpec]
    packs: dict[str, list[str]]

    def plain(self) -> Json:
        """Return each fact: its name, its type, what it means, and the packs that ask."""
        return [
            {"name": name, "type": fact.type, "one_of": plain(fact.one_of), "words": fact.words,
             "packs": self.packs[name]}
            for name, fact in self.facts.items()
        ]  # fmt: skip


def list_facts(packs: Path | None = None) -> Facts:
    """Return the facts that rules may ask for: the name, the type, what it means, and the packs that ask."""
    loaded = load_packs(packs)
    facts = {name: fact for name, fact in sorted(known_facts(loaded).items())}
    asking = {name: [pack.pack for pack in loaded if name in pack.facts] or ["every pack"] for name in facts}
    rows = [(name, fact.said, fact.words, ", ".join(asking[name])) for name, fact in facts.items()]
    return Facts(facts, asking, shown=(table("fact", "type", "means", "pack", rows=rows),))


@dataclass(frozen=True, slots=True)
class PackBegun(Result):
    """A new pack, and the file it was written into."""

    pack: str
    file: str


def new_pack(pack: str, *, into: Path = Path()) -> PackBegun:
    """Begin a pack: one commented file, PACK.yaml, with a right, a table of exceptions, a period and its own cases."""
    text, path = begin(pack), into / f"{pack}.yaml"
    if not into.is_dir():
        raise WrongUse(f"{into}: no such folder; make it first, or give another with --into")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise WrongUse(f"{path} exists already; choose another name, or another folder with --into") from None
    words = f"{path}: begun. Fill in what is in capitals, then `disgorge policy test --packs {path}`"
    return PackBegun(pack, str(path), shown=(words,))


@dataclass(frozen=True, slots=True)
class CasesRun(Result):
    """How cases came out against the packs."""

    results: tuple[CaseResult, ...]

    @property
    def failed(self) -> list[CaseResult]:
        """The cases that came out otherwise."""
        return [result for result in self.results if not result.passed]

    def plain(self) -> Json:
        """Return each case, and how many passed and failed."""
        cases = [
            {"file": each.file, "name": each.name, "passed": each.passed, "problems": plain(each.problems)}
            for each in self.results
        ]
        return {"cases": cases, "passed": len(cases) - len(self.failed), "failed": len(self.failed)}


def run_cases(folder: Path | None = None, *, packs: Path | None = None) -> CasesRun:
    """Run cases kept as data against the packs: those of a folder or file, by default those that the packs carry.

    With ``packs``, the cases that those carry; other folders of cases only where they carry none.
    """
    results = CasesRun(_results(folder, packs, load_packs(packs)))
    lines = [f"{result.file}: {result.name}: {'; '.join(result.problems)}" for result in results.failed]
    lines.append(f"{counted(len(results.results), 'case')}, {len(results.failed)} failed")
    return CasesRun(results.results, shown=tuple(lines))


def _results(folder: Path | None, source: Path | None, packs: tuple[Pack, ...]) -> tuple[CaseResult, ...]:
    """Return how the cases of a folder went, or for None those that the packs carry and those of the repository."""
    if folder is not None:
        if not folder.exists():
            raise WrongUse(f"{folder}: no such folder; say where the cases are: `disgorge policy test FOLDER`")
        return running.run_cases(folder, packs)
    carried = run_files(pack_files(source), packs)
    if CASES.exists() and not (source and carried):
        return (*carried, *running.run_cases(CASES, packs))
    if not carried:
        raise WrongUse(
            f"no case: the packs carry none, and {CASES} is missing; write `cases` into a pack (`disgorge policy new` "
            "shows how), or say where they are: `disgorge policy test FOLDER`"
        )
    return carried
