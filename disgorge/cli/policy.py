"""``disgorge policy``: which rules there are, which fired and why, and whether they decide as cases want."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import Id, Packs
from lineage.plural import counted

if TYPE_CHECKING:
    from policies.cases.run_cases import CaseResult
    from policies.packs.rules import Pack

app = typer.Typer(help="Rules, as data: list | facts | new | explain | test.", no_args_is_help=True)

CASES = Path("tests/policies/cases")
"""Where a repository keeps its cases, as this one does."""


@app.command("list")
def list_(packs: Packs = None, as_json: AsJson = False) -> None:
    """List the policy packs and their rules, each with its source."""
    from lineage.records import plain
    from policies.packs.load import load_packs, packs_digest

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
    from policies.packs.facts import known_facts
    from policies.packs.load import load_packs

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
    """Say in words what holds about a request and how it was decided: which rules fired, and what overrode what."""
    from disgorge.cli.output.case import earlier_values, paragraphs, print_course, print_earlier, print_held_meanwhile
    from disgorge.request.case import case_of
    from disgorge.request.history.earlier import earlier_requests
    from disgorge.request.history.timeline import course, now
    from lineage.workspace import Workspace
    from policies.judging.explain import explain as in_words

    workspace = Workspace.open()
    case = case_of(workspace, request)
    decided = case.decision or case.superseded
    if decided is None and not case.closed:
        raise WrongUse(f"request {request} is not decided; run `disgorge request decide {request}` first")
    made = case.decisions if history else [decided] if decided else []
    words = ("\n\n" + "-" * 20 + "\n").join(in_words(decision, case.judged) for decision in made)
    holds, happened, earlier = (
        now(case, workspace.day_of),
        course(case, workspace.day_of),
        earlier_requests(workspace, request),
    )
    if as_json:
        value: dict[str, Any] = {
            "request": request, "words": words, "decision": case.decision, "outdated": case.outdated,
            "now": holds, "course": happened, "earlier": earlier_values(earlier),
        }  # fmt: skip
        show.write_json(value | ({"decisions": made} if history else {}))
        return
    if print_course(case, holds, happened) and words:
        when = "before it was amended" if case.decision is None else "before it was closed" if case.closed else "last"
        show.line(f"What was decided {when}, in full:")
    paragraphs(words)
    print_held_meanwhile(case)
    print_earlier(earlier, case)
    if case.outdated:
        show.warn(f"{case.outdated}; run `disgorge request decide {request}` again")


@app.command()
def new(
    pack: Annotated[str, typer.Argument(help="Its name, also that of its regime: lower case and hyphens.")],
    into: Annotated[Path, typer.Option("--into", help="Folder to write PACK.yaml into.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Begin a pack: one commented file, PACK.yaml, with a right, a table of exceptions, a period and its own cases."""
    from policies.packs.new_pack import begin

    text, path = begin(pack), into / f"{pack}.yaml"
    if not into.is_dir():
        raise WrongUse(f"{into}: no such folder; make it first, or give another with --into")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise WrongUse(f"{path} exists already; choose another name, or another folder with --into") from None
    if as_json:
        show.write_json({"pack": pack, "file": str(path)})
        return
    show.line(f"{path}: begun. Fill in what is in capitals, then `disgorge policy test --packs {path}`")


@app.command("test")
def run(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help=f"Folder, or file, of cases in YAML. By default those that the packs carry, and {CASES} where it is.",
            metavar="[CASES]",
            show_default=False,
        ),
    ] = None,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Run cases kept as data against the packs. Exit 1 if one comes out otherwise.

    With --packs, the cases that those packs carry; other folders of cases only where they carry none.
    """
    from policies.packs.load import load_packs

    results = _results(folder, packs, load_packs(packs))
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


def _results(folder: Path | None, source: Path | None, packs: "tuple[Pack, ...]") -> "tuple[CaseResult, ...]":
    """Return how the cases of a folder went, or for None those that the packs carry and those of the repository."""
    from policies.cases.run_cases import run_cases, run_files
    from policies.packs.load import pack_files

    if folder is not None:
        if not folder.exists():
            raise WrongUse(f"{folder}: no such folder; say where the cases are: `disgorge policy test FOLDER`")
        return run_cases(folder, packs)
    carried = run_files(pack_files(source), packs)
    if CASES.exists() and not (source and carried):
        return (*carried, *run_cases(CASES, packs))
    if not carried:
        raise WrongUse(
            f"no case: the packs carry none, and there is no {CASES}; write `cases` into a pack (`disgorge policy new` "
            "shows how), or say where they are: `disgorge policy test FOLDER`"
        )
    return carried


def _effect(outcome: object) -> str:
    return str(outcome) if outcome is not None else ""
