"""The command line's own arguments: every verb with hostile words where names, reasons, dates and paths go."""

from hypothesis import strategies as st

from tests.fuzz.kind import Kind
from tests.fuzz.place import Place
from tests.fuzz.strategies import WORD, WORDS

HERE = "?"
"""Where a word goes."""
FILE = ("request", "file", "--standing", "customer", "--ground", "privacy")
VERBS: tuple[tuple[str, ...], ...] = (
    ("shard", "show", HERE), ("shard", "check", HERE), ("trace", HERE), ("trace", "--subject", HERE),
    ("trace", "--up", HERE), ("release", "show", HERE), ("release", "predict", HERE, HERE),
    ("release", "predict", "toy-averages", HERE), ("release", "sample", HERE, "--out", "sample.png"),
    ("request", "show", HERE), ("request", "impact", HERE), ("request", "decide", HERE), ("request", "plan", HERE),
    ("request", "approve", "R-1", HERE, "--by", HERE), ("request", "approve", HERE, HERE, "--by", "ann"),
    ("request", "hold", "R-1", "--reason", HERE), ("request", "hold", HERE, "--reason", HERE),
    ("request", "grant", "R-1", "--by", HERE, "--reason", HERE), ("request", "deny", HERE, "--reason", "no-match"),
    ("request", "deny", "R-1", "--reason", HERE), ("request", "extend", "R-1", "--reason", HERE),
    ("request", "execute", HERE), ("request", "resume", HERE), ("request", "report", HERE),
    ("request", "erase-particulars", HERE), ("request", "decide", "R-1", "--packs", HERE),
    ("request", "list", "--packs", HERE), ("policy", "explain", HERE), ("policy", "list", "--packs", HERE),
    ("policy", "test", HERE), ("train", HERE), ("attest", HERE), ("attest", "--component", HERE, "--recipe", HERE),
    ("verify", HERE), ("verify", "shards", "--key", HERE),
    ("verify", "shards", "--level", HERE), ("audit", "--today", HERE), (HERE,), (HERE, HERE), ("shard", HERE),
    ("request", HERE, HERE), ("shard", "add", HERE, "--name", "x", "--no-check", "--no-dvc"),
    ("shard", "add", "a.csv", "--no-check", "--no-dvc", "--name", HERE),
    ("shard", "add", "a.csv", "--no-check", "--no-dvc", "--name", "x", "--source", HERE, "--license", HERE),
    ("shard", "add", "a.csv", "--no-check", "--no-dvc", "--name", "x", "--basis", HERE, "--core"),
    ("shard", "add", "a.csv", "--no-check", "--no-dvc", "--name", "x", "--key", HERE, "--subject", HERE),
    ("shard", "add", "a.csv", "--no-check", "--no-dvc", "--name", "x", "--fields", HERE, "--encoding", HERE),
    ("shard", "add", "a.csv", "--no-check", "--no-dvc", "--name", "x", "--rules", HERE),
    (*FILE, "--regime", HERE, "--shard", "shard-1"), (*FILE, "--regime", "gdpr", "--shard", HERE, "--unmatched"),
    (*FILE, "--regime", "gdpr", "--subject", HERE, "--key", HERE, "--unmatched"),
    (*FILE, "--regime", "gdpr", "--shard", "shard-1", "--source", HERE, "--unmatched"),
    (*FILE, "--regime", "gdpr", "--shard", "shard-1", "--item", HERE, "--license", HERE, "--unmatched"),
    (*FILE, "--regime", "gdpr", "--shard", "shard-1", "--received", HERE),
    (*FILE, "--regime", "gdpr", "--shard", "shard-1", "--fact", HERE),
    (*FILE, "--regime", "gdpr", "--shard", "shard-1", "--fact", f"a={HERE}"),
    (*FILE, "--regime", "gdpr", "--shard", "shard-1", "--name", HERE, "--contact", HERE, "--note", HERE),
    (*FILE, "--regime", "gdpr", "--shard", "shard-1", "--id", HERE), ("request", "file", "--from", HERE),
    ("request", "file", "--standing", HERE, "--ground", HERE, "--regime", HERE),
    ("request", "deny", "R-1", "--reason", "no-match", HERE), ("ledger", "verify", HERE), ("--version", HERE),
)  # fmt: skip
AFTER = (("shard", "list"), ("request", "list", "--all"), ("audit",), ("request", "show", "R-1"), ("trace", "shard-1"))
"""What is looked at after a word was taken: on a terminal every other time."""


Case = tuple[tuple[str, ...], bool]
"""What is typed, and whether on a terminal."""


def attempt(place: Place, case: Case) -> str:
    """Type one command, then look at what it left."""
    arguments, terminal = case
    (place.root / "a.csv").write_bytes(b"key,subject,x\na,ann,1\nb,bob,2\n")
    ran = place.run(*arguments, terminal=terminal)
    assert ran.code != 3, "what was typed is no failure of the machine"
    place.workspace.ledger.verify()
    if ran.code == 2:
        return "refused"
    for looked in AFTER:
        place.run(*looked, terminal=not terminal)
    return "taken"


def typed(number: int) -> Case:
    """Put a known word, and the next ones, into a verb."""
    verb = VERBS[number * len(VERBS) // len(WORDS)]
    arguments = (part.replace(HERE, WORDS[(number + place) % len(WORDS)]) for place, part in enumerate(verb))
    return tuple(arguments), number % 2 == 0


@st.composite
def commands(draw: st.DrawFn) -> Case:
    """Draw a verb with words in it, for people or for machines."""
    arguments = tuple(part.replace(HERE, draw(WORD)) if HERE in part else part for part in draw(st.sampled_from(VERBS)))
    return (*arguments, *draw(st.sampled_from([(), (), ("--json",)]))), draw(st.booleans())


KINDS = (
    Kind(
        "words", attempt, commands(), known=lambda: map(typed, range(len(WORDS))), full=500, template="trained",
    ),
)  # fmt: skip
