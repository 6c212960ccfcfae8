"""``disgorge policy``: which rules there are, which fired and why, and whether they decide as cases want."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge.cli import show
from disgorge.cli.failures import WrongUse
from disgorge.cli.request import Id, Packs
from disgorge.cli.show import AsJson
from lineage.counted import counted

app = typer.Typer(help="Rules, as data: list | facts | explain | test.", no_args_is_help=True)

CASES = Path("tests/policies/cases")
"""Where a repository keeps its cases, as this one does."""


@app.command("list")
def list_(packs: Packs = None, as_json: AsJson = False) -> None:
    """List the policy packs and their rules, each with its source."""
    from lineage.records import plain
    from policies.pack import load_packs, packs_digest

    loaded = load_packs(packs)
    if as_json:
        listed = [plain(pack) | {"digest": pack.digest, "unread": [rule.id for rule in pack.unread]} for pack in loaded]
        show.write_json({"digest": packs_digest(loaded), "packs": listed})
        return
    rows = [(pack.pack, rule.id, _effect(rule.effect.outcome), rule.dated, "" if rule.all_read else "not read",
             rule.citation) for pack in loaded for rule in pack.rules]  # fmt: skip
    show.table(("pack", "rule", "alone", "dated", "text", "source"), rows)
    for pack in loaded:
        unread = f"{len(pack.unread)} not read, so they only send to a person" if pack.unread else "every text read"
        show.line(f"{pack.pack}: {counted(len(pack.rules), 'rule')}, {unread}")
    show.line(f"{counted(len(loaded), 'pack')}, digest {packs_digest(loaded)}")


@app.command()
def facts(packs: Packs = None, as_json: AsJson = False) -> None:
    """List the facts that rules may ask for: the name, the type, what it means, and the packs that ask."""
    from policies.facts import known_facts
    from policies.pack import load_packs

    loaded = load_packs(packs)
    asking = {name: [pack.pack for pack in loaded if name in pack.facts] for name in sorted(known_facts(loaded))}
    known = known_facts(loaded)
    if as_json:
        show.write_json(
            [
                {"name": name, "type": known[name].type, "one_of": known[name].one_of, "words": known[name].words,
                 "packs": packs_asking or ["every pack"]}
                for name, packs_asking in asking.items()
            ]
        )  # fmt: skip
        return
    rows = [
        (name, known[name].said, known[name].words, ", ".join(packs_asking) or "every pack")
        for name, packs_asking in asking.items()
    ]
    show.table(("fact", "type", "means", "pack"), rows)


@app.command()
def explain(
    request: Id,
    history: Annotated[bool, typer.Option("--history", help="Every decision there was, oldest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say in words how a request was decided: which rules fired, and what overrode what."""
    from disgorge.cli.case_views import paragraphs
    from disgorge.docket import case_of
    from lineage.ledger import Ledger
    from policies.explain import explain as in_words

    case = case_of(Ledger.open(), request)
    if case.decision is None:
        raise WrongUse(f"request {request} is not decided; run `disgorge request decide {request}` first")
    made = case.decisions if history else [case.decision]
    words = ("\n\n" + "-" * 20 + "\n").join(in_words(decision, case.request) for decision in made)
    if as_json:
        value = {"request": request, "words": words, "decision": case.decision, "outdated": case.outdated}
        show.write_json(value | ({"decisions": made} if history else {}))
        return
    paragraphs(words)
    if case.outdated:
        show.warn(f"{case.outdated}; run `disgorge request decide {request}` again")


@app.command("test")
def run(
    folder: Annotated[Path, typer.Argument(help="Folder, or file, of cases in YAML.", metavar="CASES")] = CASES,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Run cases kept as data against the packs. Exit 1 if one comes out otherwise."""
    from policies.cases import run_cases
    from policies.pack import load_packs

    if not folder.exists():
        raise WrongUse(f"{folder}: no such folder; say where the cases are: `disgorge policy test FOLDER`")
    results = run_cases(folder, load_packs(packs))
    failed = [result for result in results if not result.passed]
    if as_json:
        cases = [
            {"file": result.file, "name": result.name, "passed": result.passed, "problems": result.problems}
            for result in results
        ]
        show.write_json({"cases": cases, "passed": len(results) - len(failed), "failed": len(failed)})
    else:
        for result in failed:
            show.line(f"{result.file}: {result.name}: {'; '.join(result.problems)}")
        show.line(f"{counted(len(results), 'case')}, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


def _effect(outcome: object) -> str:
    return str(outcome) if outcome is not None else ""
