"""What the evidence of a report does not show, in words: a function of the evidence, so that nobody can leave it out.

Verification writes these sentences again from the evidence in the bundle and refuses a statement that has others.
"""

from collections.abc import Iterator, Mapping

from disgorge.evidence.checks import RESTS_ON, STAND_IN, Evidence, Verdict
from lineage.records import Json

HONEST_OPERATOR = (
    "Nobody but its maker had re-executed this removal when the report was signed. That the measurements were made as "
    "they are reported, on the models and data they name, rests on the assumption that the operator is honest, until "
    "somebody else runs “disgorge verify --level reexecute”."
)
CONFINED = (
    "The processes that trained it again, one for each part, could open nothing but their inputs, the installed code "
    "and what the system lets every process read, and reach no other process; a copy of the data or of old weights "
    "hidden among the installed code would have gone unnoticed."
)
UNCONFINED = (
    "The processes that trained it again were not kept from opening other files than their inputs; a copy of the data "
    "or of old weights that a method keeps at a place of its own would have gone unnoticed on that machine."
)
"""What re-execution leaves open, by whether the kernel confined it."""
NO_REGISTRY = "Models registered in MLflow were not looked at: there was no store at hand."
"""What is said where no registry was searched."""
ALWAYS_NOT_SHOWN = (
    HONEST_OPERATOR,
    "The ledger is what its operator recorded: unrecorded training, or a second ledger, cannot be seen in it.",
    "That the facts told here are in the ledger, and that no other facts concern the request, is seen only with the "
    "ledger at hand.",
    "A number in a model file that somebody computed from the data, removed data included, is taken for a choice.",
    "That a published model is the release named here is not shown: compare the SHA-256 of what you were given.",
)
"""What no report's evidence shows."""


AS_RECORDED = (
    "Times are those of the clocks of the machines it was done on and names are as they were typed, and neither was "
    "authenticated; {confinement}."
)
"""What clock, typed names and confinement of a report do not show: one sentence, of every report."""
_CONFINEMENT = {
    None: "no process trained anything again for this report, so none was confined",
    True: "the confinement of the processes that trained again (Landlock and seccomp) does not exclude a copy in "
    "installed code or in what a process was started with, nor what names, sizes and times of other files tell",
    False: "the processes that trained again were not confined, which excludes nothing that they could read or reach",
}
"""By whether all of those that trained again were confined, None if there were none."""


def as_recorded(evidence: Evidence) -> str:
    """Return what the clock, the typed names and the confinement of this report do not show."""
    again = [bool(check.detail.get("confined")) for check in evidence.checks if check.name == "never-trained"]
    return AS_RECORDED.format(confinement=_CONFINEMENT[all(again) if again else None])


def not_shown(evidence: Evidence) -> tuple[str, ...]:
    """Return, in sentences, what this evidence leaves open."""
    return tuple(dict.fromkeys((*ALWAYS_NOT_SHOWN, *of_the_machine(evidence), *_of_this(evidence))))


def of_the_machine(evidence: Evidence) -> tuple[str, ...]:
    """Return, in sentences, what stays open because of the machine it was done on: clock, confinement, processor."""
    again = [check for check in evidence.checks if check.name == "never-trained"]
    if not again:
        return (as_recorded(evidence),)
    where = evidence.environment.get("machine")
    return (
        as_recorded(evidence),
        f"Equality with training without the data was looked at on the operator's own machine"
        f"{f' ({where})' if where else ''} and for the recorded recipes of "
        f"{', '.join(sorted({check.subject for check in again}))} only.",
        CONFINED if all(check.detail.get("confined") for check in again) else UNCONFINED,
    )


def not_reached(evidence: Evidence) -> tuple[str, ...]:
    """Return, in sentences, which files the searches for residue left to people."""
    told = [check.detail for check in evidence.checks if check.name == "residue"]
    beside = beside_the_record(evidence)
    words = [words for detail in told for words in _not_looked_into(detail)]
    return tuple(dict.fromkeys([*([beside] if beside else []), *words]))


def beside_the_record(evidence: Evidence) -> str:
    """Return in a sentence which registered models no recorded composition explains, "" if none was found."""
    told = [check.detail.get("registered models") for check in evidence.checks if check.name == "residue"]
    found = next((each for each in told if each is not None and each["unexplained"]), None)
    if found is None:
        return ""
    count, named = int(found["unexplained"]), [str(name) for name in found["named"]]
    more = f" and {count - len(named):,} more" if count > len(named) else ""
    listed = f" ({', '.join(named)}{more})" if named else ""
    versions = "1 version of a model is" if count == 1 else f"{count:,} versions of models are"
    them = "it" if count == 1 else "them"
    return (
        f"{versions} registered in MLflow{listed} that no recorded composition explains: whether the data is in {them} "
        f"is not known, and {'it is' if count == 1 else 'they are'} not covered."
    )


def _not_looked_into(detail: Mapping[str, Json]) -> Iterator[str]:
    unread, there = detail.get("not looked into"), detail.get("still there")
    if not isinstance(unread, dict) or not isinstance(there, list):
        return  # of a version that looked for neither
    yield from (f"Shard {words}." for words in there)
    count, named = int(unread["files"]), [str(name) for name in unread["named"]]
    if count:
        listed = f": {', '.join(named)}" if named else ""
        more = f" and {count - len(named):,} more" if named and count > len(named) else ""
        files = "1 file was" if count == 1 else f"{count:,} files were"
        yield (
            f"{files} not looked into, because only Parquet with digests and safetensors can be compared with what was "
            f"removed{listed}{more}."
        )


def _of_this(evidence: Evidence) -> Iterator[str]:
    for check in evidence.checks:
        if check.name in RESTS_ON and any(control.name == STAND_IN for control in check.controls):
            yield (
                f"“{check.name}” shows nothing by itself about {check.subject}: the model from before removal gives "
                f"the very same answers to all that was asked, and “{RESTS_ON[check.name]}” alone tells the two apart."
            )
    attacked = [check for check in evidence.checks if check.name == "membership"]
    if not any(check.verdict is Verdict.PASS for check in attacked):
        yield "Whether an attacker could tell that the removed items were used was not shown by any attack that passed."
    for check in attacked:
        if check.verdict is Verdict.PASS:
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
    told = [check.detail.get("registered models") for check in evidence.checks if check.name == "residue"]
    if any(each is not None and not each["looked at"] for each in told):
        yield NO_REGISTRY
    yield from _of_near_duplicates(evidence)
    gone = sorted(set(evidence.subjects) - set(evidence.after))
    if gone:
        yield f"Nothing can be measured any more about {', '.join(gone)}: no model is left of it here."


def _of_near_duplicates(evidence: Evidence) -> Iterator[str]:
    """Yield what the search by likeness left open; every residue check tells of the same search."""
    told = [check.detail.get("near-duplicates") for check in evidence.checks if check.name == "residue"]
    if not told or not isinstance(near := told[0], dict):
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
    distinct = near["judged to be other items"]
    if distinct == 1:
        yield "1 item that looks like a removed one stays: it was recorded as another item."
    elif distinct:
        yield f"{distinct:,} items that look like removed ones stay: they were recorded as other items."
