"""Limitations of a report and its evidence: sentences in three groups, signed with the statement.

About this removal, about the machine it was done on, and what is true of every report. All but the residuals that steps
recorded follow from the plan and the evidence.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from disgorge.evidence.checks import Check, Evidence, Verdict
from disgorge.plan.plan import Plan
from lineage.plural import counted
from lineage.records import Json
from policies.taxonomy import Confinement

ALWAYS = (
    "This report is not legal advice and does not claim compliance with any law.",
    "An attack that finds nothing does not prove that nothing is left; bit-for-bit equality is the stronger evidence.",
    "Nothing is said about data that a frozen, declared core was trained on before it came here.",
    "Copies in backups, in version-control history or in the hands of third parties are not covered.",
    "Checks that need the model as it was ran before it was destroyed; only their recorded results remain.",
    "This report shows tampering and does not prevent it: that runs and measurements were made as they are reported, "
    "on the models and data they name, rests on the assumption that the operator, whose key signed it, is honest.",
    "The code that trained and answered may be careless, and may remember what it saw; that it does not attack the "
    "kernel that confines it is assumed.",
    "The process that planned, judged and signed carried out no training, and loaded no code of a method that others "
    "distribute: what that declares, lays out and answers came from other processes, as data.",
    "What a dishonest operator could fake, only re-execution by an outsider shows: “disgorge verify --level "
    "reexecute”.",
    "The ledger is what its operator recorded: unrecorded training, or a second ledger, cannot be seen in it.",
    "That the facts told here are in the ledger, and that no other facts concern the request, is seen only with the "
    "ledger at hand.",
    "A number in a model file that a person computed from the data, removed data included, is taken for a choice.",
    "That a published model is the release named here is not shown: compare the SHA-256 of what you were given.",
)
"""Limitations of every report."""
CLOCKS_AND_NAMES = (
    "Times are those of the clocks of the machines it was done on and names are as they were typed, and neither was "
    "authenticated."
)
NO_REGISTRY = "Models registered in MLflow were not looked at: there was no store at hand."


@dataclass(frozen=True, slots=True)
class Caveats:
    """What is not promised and not shown, by what it is about."""

    this_removal: tuple[str, ...]
    this_machine: tuple[str, ...]
    always: tuple[str, ...]

    @property
    def groups(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The groups with their headings; without those that have no sentence."""
        headings = ("About this removal", "About this machine", "Always")
        groups = zip(headings, (self.this_removal, self.this_machine, self.always), strict=True)
        return tuple((heading, sentences) for heading, sentences in groups if sentences)


def caveats(plan: Plan, evidence: Evidence, residuals: Iterable[str]) -> Caveats:
    """Return every sentence once; ``residuals`` are what the steps recorded, and what the methods do not promise."""
    about = (*not_reached(evidence), *residuals, *_of_the_plan(plan), *_left_open(evidence))
    return Caveats(tuple(dict.fromkeys(about)), tuple(_of_the_machine(evidence)), ALWAYS)


def _of_the_plan(plan: Plan) -> Iterator[str]:
    for each in plan.left_out:
        yield f"The request is fulfilled only in part: {each.words}."
    if plan.together:
        yield (
            f"The removal was carried out together with that for {counted(len(plan.others), 'other request')}: what "
            "was measured, and what it took, is of all of them; no part of it was measured for this one apart."
        )
    yield from plan.other_code
    yield from (step.caveat for step in plan.remedies if step.caveat)


def _of_the_machine(evidence: Evidence) -> Iterator[str]:
    again = [check for check in evidence.checks if check.name == "never-trained"]
    yield CLOCKS_AND_NAMES
    if again:
        where = evidence.environment.get("machine")
        yield (
            f"Equality with training without the data was looked at on the operator's own machine"
            f"{f' ({where})' if where else ''} and for the recorded recipes of "
            f"{', '.join(sorted({check.subject for check in again}))} only."
        )
    yield from dict.fromkeys(_confinement(check) for check in again)
    if not again:
        yield "No process trained anything for this report, so none was confined."


def _confinement(check: Check) -> str:
    """Say what the runs that made a release could read, and what the least confined of them leaves open."""
    told = check.detail.get("level")
    level = Confinement(told) if told in list(Confinement) else Confinement.PROCESS
    gaps = ", ".join(check.detail.get("gaps") or ())
    without = f" The job was {gaps}." if gaps else ""
    hermetic = " (hermetic)" if level is Confinement.NAMESPACE else ""
    least = f"Of the runs that made {check.subject} the least confined was at level {level}{hermetic}"
    return f"{least}: {level.words}.{without}"


def _residue_details(evidence: Evidence) -> list[Mapping[str, Json]]:
    return [check.detail for check in evidence.checks if check.name == "residue"]


def not_reached(evidence: Evidence) -> Iterator[str]:
    """Yield which registered models and files the searches for residue left to people."""
    if beside := beside_the_record(evidence):
        yield beside
    for detail in _residue_details(evidence):
        unsupported = detail.get("unsupported", ())
        unread = detail.get("not enumerated") or {"files": 0, "named": [], "places": []}
        count, places = int(unread["files"]), len(unread["places"])
        open_ones = f"{counted(count, 'file')} and {counted(places, 'place')} not enumerated"
        yield (
            f"Copies of what was removed: {counted(int(detail.get('erased', 0)), 'file')} erased by the last run of "
            f"the purge, {len(unsupported):,} unsupported (they lie where nothing is deleted), "
            f"{len(detail.get('residual', ())):,} residual; {open_ones}, so "
            f"{'the list is not complete' if count or places else 'the list is complete for the places searched'}."
        )
        yield from (
            f"Unsupported: {'' if words.startswith(('artifact ', 'code ', 'file ', 'package ')) else 'shard '}{words}."
            for words in unsupported
        )
        yield from _looked_at(detail)
        if count:
            named = _named(unread["named"], count)
            yield (
                f"Not enumerated: {counted(count, 'file')} {'was' if count == 1 else 'were'} not looked into, because "
                f"what {'it holds' if count == 1 else 'they hold'} cannot be compared with what was removed"
                f"{named and f': {named}'}."
            )


def _looked_at(detail: Mapping[str, Json]) -> Iterator[str]:
    """Yield what a search compared and what it only opened, and which files it could not decide about."""
    if (looked := detail.get("looked at")) is None:
        return  # of a version that did not count
    yield (
        f"Compared: {counted(int(looked['compared']), 'file')}, tables by the items they list, texts by the rows and "
        f"tensors with the removed ones, as they are, rounded to 16 bits, transposed, cut or joined along an axis, and "
        f"in sums with retained ones; not seen is what was quantized or changed by more. Only opened: "
        f"{counted(int(looked['only opened']), 'file')} of text and code, where not all of it would be recognized."
    )
    if count := int(detail["not decided"]["files"]):
        named = _named(detail["not decided"]["named"], count)
        has, them = ("has", "it comes") if count == 1 else ("have", "they come")
        yield (
            f"Not decided: {counted(count, 'file')} {has} tensors of the shapes of removed weights, and whether {them} "
            f"from them is not known{named and f': {named}'}."
        )


def beside_the_record(evidence: Evidence) -> str:
    """Return in a sentence which registered models no recorded composition explains, "" if none was found."""
    details = [detail.get("registered models") for detail in _residue_details(evidence)]
    unexplained = next((each for each in details if each is not None and each["unexplained"]), None)
    if unexplained is None:
        return ""
    count = int(unexplained["unexplained"])
    named = _named(unexplained["named"], count)
    versions = "1 version of a model is" if count == 1 else f"{count:,} versions of models are"
    them, are = ("it", "it is") if count == 1 else ("them", "they are")
    return (
        f"{versions} registered in MLflow{named and f' ({named})'} that no recorded composition explains: whether the "
        f"data is in {them} is not known, and {are} not covered."
    )


def _named(names: Iterable[str], count: int) -> str:
    """Return the names, and how many more there are; "" without names."""
    given = [str(name) for name in names]
    return ", ".join(given) + (f" and {count - len(given):,} more" if given and count > len(given) else "")


def _left_open(evidence: Evidence) -> Iterator[str]:
    passed = [check for check in evidence.checks if check.name == "membership" and check.verdict is Verdict.PASS]
    if not passed:
        yield "Whether an attacker could tell that the removed items were used was not shown by any attack that passed."
    for check in passed:
        yield (
            f"The attack on {check.subject} looked at {check.n:,} items with one kind of attacker; a smaller "
            "difference than it can detect, or a better attacker, is not excluded."
        )
    open_ones: dict[str, list[str]] = {}
    for check in evidence.checks:
        if check.verdict is Verdict.INCONCLUSIVE:
            open_ones.setdefault(check.name, []).append(check.subject)
    if open_ones:
        named = "; ".join(f"“{name}” of {', '.join(subjects)}" for name, subjects in open_ones.items())
        yield f"These checks gave no answer either way, and nothing is claimed from them: {named}."
    details = [detail.get("registered models") for detail in _residue_details(evidence)]
    if any(each is not None and not each["looked at"] for each in details):
        yield NO_REGISTRY
    yield from _of_near_duplicates(evidence)
    if gone := sorted(set(evidence.subjects) - set(evidence.after)):
        yield f"Nothing can be measured any more about {', '.join(gone)}: no model is left of it here."


def _of_near_duplicates(evidence: Evidence) -> Iterator[str]:
    """Yield what the search by perceptual hash left open; every residue check tells of the same search."""
    near = next((detail.get("near-duplicates") for detail in _residue_details(evidence)), None)
    if near is None:
        return
    items, sought = near["removed items"], near["of these with a likeness"]
    if sought < items:
        yield (
            f"Copies of the removed items that were changed (recompressed, reworded) were not looked for with "
            f"{items - sought:,} of {items:,} of them: no likeness was recorded."
        )
    if sought:
        yield "Changed copies were looked for by likeness, which survives no crop, turn, mirroring or translation."
    if sought and near["shards without likenesses"]:
        where = ", ".join(near["shards without likenesses"])
        yield f"Changed copies were not looked for in {where}: no likeness was recorded there for every item."
    if distinct := near["judged to be other items"]:
        items_look = "1 item that looks like a removed one stays: it was" if distinct == 1 else (
            f"{distinct:,} items that look like removed ones stay: they were"
        )  # fmt: skip
        yield f"{items_look} recorded as {'another item' if distinct == 1 else 'other items'}."
