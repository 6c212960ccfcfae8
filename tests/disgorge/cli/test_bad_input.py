"""Bad input: one clear line, the right exit code, and nothing written or lost."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lineage.errors import BadInput
from lineage.recording import recording
from lineage.storage.manifest import read_manifest, write_manifest
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import RELEASE, WITHDRAWAL, fine, planned, refused, run, untouched
from tests.toys import toy_of, train

CSV = "key,who,x\na,ann,1\nb,bob,2\n"
ADD = ("shard", "add")
PACK = "pack: mine\ntitle: t\nversion: '1'\napplies: 'true'\n"
ASKED = "standing: internal\nground: bias\nregime: quality\n"
FILES = {
    "a.csv": CSV, "a.txt": "x", "b.csv": CSV, "more.csv": CSV, "more/a.csv": CSV, "empty.csv": "key,x\n",
    "latin.csv": b"key,x\ncaf\xe9,1\n", "no.npz": b"PK\x03\x04 no archive", "no.parquet": b"PAR1",
    "alchemy.yaml": "release: r\nmethod: alchemy\nshards: [shard-1]\n",
    "list.yaml": "- a\n",
    "nobody.yaml": "standing: nobody\nground: bias\nregime: quality\nselectors: {shard: a}\n",
    "urgent.yaml": f"{ASKED}selectors: {{shard: a}}\nurgent: true\n",
    "bare.yaml": ASKED,
    "owner.yaml": f"{ASKED}selectors: {{owner: a}}\n",
    "nan.yaml": f"{ASKED}selectors: {{shard: a}}\nfacts: {{x: .nan}}\n",
    "days.yaml": f"{ASKED}selectors: {{shard: a}}\nfacts: {{quality_days: .nan}}\n",
    "poisond.yaml": f"{ASKED}selectors: {{shard: shard-1}}\nfacts: {{poisond: true}}\n",
    "number.yaml": f"{ASKED}selectors: {{shard: shard-1}}\nfacts: {{order_reference: 123}}\n",
    "cut.yaml": "standing: [",
    "half.yaml": f'{ASKED}selectors: {{shard: shard-1}}\nparticulars: {{name: "\\ud800"}}\n',
    "no-rule/mine.yaml": f"{PACK}rules: []\n",
    "rulez/mine.yaml": f"{PACK}rules: []\nrulez: []\n",
    "applies/mine.yaml": f"{PACK.replace('true', '1 +')}rules: [{{id: a, when: 'true', words: w, citation: c,"
    " dated: 2026-01-01}]\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def prepared(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The trained toy with a planned request and files of many kinds, for what leaves all of it as it is."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("bad-input") / "workspace"))
    for name, data in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    np.savez(folder / "infinite.npz", x=np.array([[1.0], [np.inf]]))
    np.savez(folder / "none.npz", x=np.zeros((0, 3)))
    (folder / "unequal").mkdir()
    for name, width in (("a", 4), ("b", 5)):
        Image.new("L", (width, 4)).save(folder / "unequal" / f"{name}.png")
    for name in ("no-file", "no-pack"):
        (folder / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        planned()
        yield folder


FILE = "request file --standing contributor --ground contract --shard shard-2"
INTERNAL = "request file --standing internal --ground bias --regime quality"
TAKE = "shard add --no-check --no-dvc --name new"
HELP = "--help` says what there is"
NOT_THERE = "unknown request 'R-9'"
REFUSED: dict[str, tuple[tuple[str, str], ...]] = {
    "what nobody recorded": (
        ("shard show shard-9", "no shard 'shard-9' is recorded; did you mean"),
        ("shard check shard-9", "no shard 'shard-9'"),
        (f"trace {RELEASE}/mean/shard-9", "nothing named"),
        ("release show toy-average", "no release toy-average@live; did you mean"),
        (f"release predict {RELEASE} shard-9", "no shard 'shard-9'"),
        (f"release predict {RELEASE}@candidate shard-1", "no release"),
        (f"release sample {RELEASE} --out x.png", "is made to classify"),
        (f"release sample {RELEASE} --out x.gif", "only PNG is written"),
        ("request show R-9", f"{NOT_THERE}; `disgorge request list`"),
        *((f"request {verb} R-9", NOT_THERE) for verb in (
            "impact", "decide", "plan", "execute", "resume", "deny --reason other", "hold --reason x",
            "extend --reason x", "report", "erase-particulars")),
        ("request plan R-1 R-9", NOT_THERE),
        (f"request approve R-9 {'0' * 12} --by ann", NOT_THERE),
        ("policy explain R-9", NOT_THERE),
        ("policy test nowhere", "no such folder"),
        ("ledger export --request R-9", NOT_THERE),
        ("audit --today tomorrow", "invalid date 'tomorrow'"),
        ("train nowhere.yaml", "cannot be read"),
        ("init", "exists already"),
        ("train alchemy.yaml", "no method 'alchemy' is registered"),
    ),
    "files that cannot be taken in": (
        (f"{TAKE} gone.csv", "no such file"),
        (f"{TAKE} a.txt", "no known kind"),
        (f"{TAKE} empty.csv", "at least one"),
        (f"{TAKE} latin.csv", "latin.csv"),
        (f"{TAKE} a.csv --subject whom", "unknown column 'whom'"),
        (f"{TAKE} a.csv --fields x,y", "unknown column 'y'"),
        (f"{TAKE} a.csv --core", "legal basis"),
        (f"{TAKE} a.csv --rules gone.json", "gone.json"),
        ("shard add --no-check --no-dvc a.csv --name shard-1", "recorded with other items"),
        (f"{TAKE} infinite.npz", "is infinite"),
        (f"{TAKE} none.npz", "at least one"),
        (f"{TAKE} no.npz", "no.npz"),
        (f"{TAKE} no.parquet", "no.parquet"),
        (f"{TAKE} no-file", "no-file"),
        (f"{TAKE} unequal", "unequal"),
        *((f"{TAKE} a.csv --basis '{basis}'", f"unknown legal basis '{basis}'; ") for basis in (
            "Legal obligtion", "Art. 6(1)(g)", "consent or contract", "published openly")),
        (f"{TAKE} a.csv --basis openly", "use one of consent, contract, legal-obligation, "),
    ),
    "shards of which one name is told": (
        (f"{TAKE} a.csv b.csv", "--name names one shard, and 2 paths are given"),
        ("shard add a.csv more/a.csv --no-check --no-dvc", "a.csv and more/a.csv would both be called 'a'"),
        ("shard add more.csv a.csv more --no-check --no-dvc", "more.csv and more would both be called 'more'"),
    ),
    "requests that are not well formed": (
        ("request file", "give --standing, --ground and --regime"),
        ("request file --standing data-subject --ground privacy --subject x", "give --regime, or --from FILE;"),
        (INTERNAL, "selects nothing"),
        (f"{INTERNAL} --shard ''", "empty value"),
        (f"{INTERNAL} --key 'a\nb'", "one line"),
        (f"{INTERNAL} --shard shard-1 --received 2999-01-01", "after today"),
        (f"{INTERNAL} --shard shard-1 --received yesterday", "invalid date"),
        (f"{INTERNAL} --shard shard-1 --fact x", "name=value"),
        (f"{INTERNAL} --shard shard-1 --fact a=1 --fact a=2", "given twice"),
        (f"{INTERNAL} --shard shard-1 --id ../../x", "invalid id"),
        (f"{INTERNAL} --shard shard-1 --id R-1", "request R-1 exists"),
        ("request file --from list.yaml --id R-2", "either that file or the other options"),
    ),
    "request files that are not understood": tuple(
        (f"request file --from {name}.yaml", said) for name, said in {
            "list": "a request is a mapping", "nobody": "standing: ", "urgent": "urgent: ", "bare": "selectors: ",
            "owner": "unknown field 'owner'", "nan": "unknown fact 'x'", "days": "must be a whole number",
            "cut": "cut.yaml: line ",
            "half": "half.yaml: line ", "poisond": "unknown fact 'poisond'; nearest: poisoned",
            "number": "order_reference must be text, not 123",
        }.items()
    ),
    "facts that no rule asks for": tuple(
        (f"{FILE} --regime contract --fact '{fact}'", said) for fact, said in {
            "irrevocable=yes": "unknown fact 'irrevocable'; nearest: license_irrevocable (",
            "licence_irrevocable=true": "nearest: license_irrevocable",
            "license_irrevocable=perhaps": "must be true or false (yes or no), not 'perhaps'",
            "contract_days=thirty": "must be a whole number, not 'thirty'",
            "order_deadline=May 31": "must be a date (YYYY-MM-DD), not 'May 31'",
            "gdpr_exception=f": "must be one of a, b, c, d, e, not 'f'",
            "also_under=gdrp": "unknown regime 'gdrp'; nearest: gdpr",
            "qqqq=1": "unknown fact 'qqqq': `disgorge policy facts` lists them all",
            # GDPR Art. 17(3), in force 2018-05-25, has the letters a to e; f is one of Art. 6(1) and 17(1)
            "gdpr_exception=17(3)(b)": "the fact gdpr_exception must be one of a, b, c, d, e, not '17(3)(b)'",
            # 17 U.S.C. 512(c)(3)(A)(i), 1998-10-28: a physical or electronic signature
            "dmca_signed=yes": "unknown fact 'dmca_signed'; nearest: dmca_signature (signed by a person authorized",
            # Cal. Civ. Code 1798.140(i), 2023-01-01: a consumer is a natural person who is a California resident
            "california_residence=no": "nearest: california_resident (whether the person is a California resident)",
            # In re Everalbum, FTC Docket C-4743 (2021-05-06): 90 days for models, which a fact has to give as a day
            "order_deadline=90 days": "the fact order_deadline must be a date (YYYY-MM-DD), not '90 days'",
        }.items()
    ),
    "regimes that no pack covers": tuple(
        (f"{FILE} --regime '{regime}'", f"unknown regime '{regime}'; nearest: {nearest}")
        for regime, nearest in (
            ("GDPR-EU", "gdpr"), ("gdrp", "gdpr"), ("contrat", "contract"), ("regulator order", "regulator-order"),
        )
    ),
    "amendments": tuple(
        (f"request amend R-1 {options}", said) for options, said in {
            "": "nothing is given to amend",
            "--fact irrevocable=yes": "unknown fact 'irrevocable'; nearest: license_irrevocable",
            "--fact contract_days=soon": "must be a whole number",
            "--regime gdrp": "unknown regime 'gdrp'; nearest: gdpr",
            "--received 2999-01-01": "after today",
            "--shard shard-9": "no item is selected by shard 'shard-9'",
            "--shard ''": "empty value",
            "--regime contract": "says all that already",
            "--fact contract_days=3 --reason ' '": "one line of words",
            "--without-fact contract_days": "has no fact 'contract_days' to take out",
        }.items()
    ),
    "holds": tuple(
        (f"request hold R-1 --reason x {options}", said) for options, said in {
            "--key shard-3-4": "--by must be a name on one line",
            "--key x --held-by H-1 --by a": "give either --held-by",
            "--serving maybe": "--serving 'maybe': use keep or stop",
            "--until tomorrow": "invalid date",
            "--until 2020-01-01": "is not after today",
            "--held-by H-1 --by a": "unknown request 'H-1'",
            "--lift --until 2099-01-01": "--lift ends a hold",
        }.items()
    ),
    "holds on a purge": (
        ("purge release R-1 --because ' ' --by ann", "say w"),
        ("purge release R-1 --because appeal --by ''", "say w"),
        ("purge hold R-1 --until 2030-01-01 --because ' ' --by ann", "say w"),
        ("purge hold R-1 --until 2030-01-01 --because appeal --by ''", "say w"),
    ),
    "closing": tuple(
        (f"request close R-1 {options}", said) for options, said in {
            "": "give either --fulfilled-by REQUEST or --taken-back --by NAME",
            "--fulfilled-by R-9 --taken-back --by ann": "give either",
            "--fulfilled-by R-9 --by ann": "--by goes with --taken-back",
            "--taken-back": "--by must be a name on one line",
            "--taken-back --by 'a\nb'": "--by must be a name on one line",
            "--fulfilled-by R-9": "unknown request 'R-9'",
            "--fulfilled-by '\x1b[31m\n'": "unknown request",
        }.items()
    ),
    "places that serve a release": tuple(
        (f"release serve-at {options}", said) for options, said in {
            f"{RELEASE} https://ada:secret@shop.example --by ada": "has a user name, password or query in it",
            f"{RELEASE} https://shop.example?token=secret --by ada": "has a user name, password or query in it",
            f"{RELEASE} ' ' --by ada": "is not a URL or path",
            f"{RELEASE} 'a\nb' --by ada": "is not a URL or path",
            "nothing /srv --by ada": "no release",
            f"{RELEASE} /srv --by ' '": "--by",
            f"{RELEASE} /srv --stopped --by ada": "is not recorded as serving",
        }.items()
    ),
    "approvals": (
        (f"request approve R-1 {'0' * 64} --by ann", "is not the digest"),
        (f"request approve R-1 {'0' * 8} --by ann", "is not the digest"),
        ("request execute R-1", "0 of 1 approvals"),
        ("request resume R-1", "nothing of it was begun"),
        ("request report R-1", "no report yet"),
        ("request report R-1 --again", "no report yet"),
    ),
    "packs that are not understood": tuple(
        (f"{verb} --packs {folder}", said)
        for folder, said in (
            ("no-rule", "no-rule/mine.yaml"), ("no-rule", "without a rule"), ("rulez", "rulez: unknown"),
            ("applies", "applies: "),
        )
        for verb in ("request decide R-1", "policy list", "request extend R-1 --reason x")
    ),
    "a folder without packs": (("request decide R-1 --packs no-pack", "no pack"),),
    "half a character": tuple(
        (f"{verb} a\udc80", "write it in UTF-8")
        for verb in (f"release predict {RELEASE}", "shard show", "trace", "trace --subject")
    ),
    "a path longer than there can be": ((f"verify {'a' * 5_000}", "File name too long"),),
    "a report that is none": (
        ("verify gone", "gone: no such file or folder; give the zip or folder of a report"),
        ("verify no-file --key no.pem", "no.pem: no such file or folder; give the file with the public key"),
        ("verify no-file --level ledger", "give --workspace with its folder"),
    ),
    "wrong use": tuple(
        (arguments, HELP) for arguments in (
            "forget", "--loud", "shard forget", "audit --loud", "shard add", "request show", "request show R-1 R-2",
            "request deny R-1", "request deny R-1 --reason mood", "request execute R-1 --references many",
            "request execute R-1 --references -1", "release sample x --out", "release sample x --out x.png --count 0",
            "request file --standing nobody", "request plan",
        )
    ),
}  # fmt: skip
"""What is typed where a request R-1 is planned, and what is said."""


@pytest.mark.parametrize("group", REFUSED)
def test_what_is_wrong_is_refused_in_one_line(prepared: Path, group: str) -> None:
    for typed, said in REFUSED[group]:
        with untouched(prepared):
            line = refused(typed)
        assert said in line, typed
        assert "secret" not in line, typed
        assert said != HELP or line.endswith(HELP), typed


@pytest.mark.parametrize(
    "typed",
    [
        "audit", "trace x", "train m.yaml", "shard list", "shard add x.csv --name x", "request list",
        "request execute R-1", "release list", "ledger verify", "policy explain R-1", "attest",
    ],
)  # fmt: skip
def test_without_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text("release: r\nmethod: averages\nshards: [a]\n")
    assert "disgorge init" in refused(typed)
    assert not (tmp_path / ".disgorge").exists()


@pytest.mark.parametrize("workers", ["0", "two", "-1", "1e3"])
def test_a_number_of_workers_that_is_none(prepared: Path, monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    monkeypatch.setenv("DISGORGE_WORKERS", workers)
    Path("m.yaml").write_text(f"release: {RELEASE}\nmethod: averages\nshards: [shard-1]\n")
    assert "DISGORGE_WORKERS" in refused("train m.yaml")


def test_a_digest_too_short_or_with_nobody_approves_nothing(prepared: Path) -> None:
    digest = fine("request show R-1 --json").json["plan_digest"]
    with untouched(prepared):
        assert "is not the digest" in refused("request approve R-1", digest[:8], "--by", "ann")
        assert "say who approves" in refused(f"request approve R-1 {digest} --by ' '")
        assert "statement.json is missing" in refused("verify no-file", code=1)


def test_of_several_files_those_before_the_bad_one_are_recorded_and_it_can_be_said_again(empty: Path) -> None:
    for name in ("a", "c"):
        (empty / f"{name}.csv").write_text(CSV.replace("1", str(ord(name))))
    (empty / "b.csv").write_text("key,who\na\n")
    told = (*ADD, "a.csv", "b.csv", "c.csv", "--key", "key", "--no-check", "--no-dvc")
    assert "b.csv" in run(*told).err
    assert [shard["name"] for shard in fine("shard list --json").json] == ["a"]
    (empty / "b.csv").write_text(CSV)
    assert [added["new"] for added in fine(*told, "--json").json] == [False, True, True]
    assert sorted(shard["name"] for shard in fine("shard list --json").json) == ["a", "b", "c"]


def test_items_that_break_their_rules_are_findings(workspace_folder: Path) -> None:
    Path("a.csv").write_text(CSV)
    Path("rules.json").write_text('{"ranges": {"x": [0, 1]}}')
    arguments = (*ADD, "a.csv", "--name", "new", "--subject", "who", "--fields", "x", "--license", "MIT", "--no-dvc")
    with untouched(workspace_folder):
        assert "is broken by 1 of 2 items: key 'b'" in refused(*arguments, "--rules", "rules.json", code=1)
    assert "2 items" in fine(*arguments).out


def test_duplicates_are_told_and_a_removal_finds_them_all(empty: Path) -> None:
    Path("a.csv").write_text("key,who,x\na,ann,1\nb,bob,1\nc,cat,3\n")
    Path("b.csv").write_text("key,who,x\nd,dan,1\n")
    columns = ("--subject", "who", "--fields", "x", "--no-check", "--no-dvc")
    assert "duplicates: 1 within, 0 across" in fine(*ADD, "a.csv", "--name", "a", *columns).out
    told = fine(*ADD, "b.csv", "--name", "b", *columns).out
    assert "duplicates: 0 within, 1 across" in told
    assert "shared with: a" in told
    fine("request file --standing data-subject --ground privacy --regime gdpr --subject bob --id R-1")
    found = fine("request impact R-1 --json").json
    assert {change["before"]["name"]: change["removed"] for change in found["shards"]} == {"a": 2, "b": 1}
    assert found["duplicates"] == 2


def test_selectors_that_match_nothing_are_refused_unless_they_are_to_be_answered(workspace_folder: Path) -> None:
    asked = f"{WITHDRAWAL} --id R-1 --verified --shard shard-2 --source nowhere"
    with untouched(workspace_folder):
        assert "no item is selected by source 'nowhere', shard 'shard-2'; correct it" in refused(asked)
    ran = fine(asked, "--unmatched")
    assert ran.err.startswith("warning: nothing is selected by source 'nowhere'; the request is recorded and will be ")
    assert len(ran.err.splitlines()) == 1
    assert fine("request decide R-1 --json").json["refusal"] == "no-match"
    with untouched(workspace_folder):
        refused("request plan R-1")


def test_selectors_that_no_item_meets_together_are_warned_of(workspace_folder: Path) -> None:
    ran = fine(f"{WITHDRAWAL} --shard shard-2 --key shard-1-0 --unmatched")
    assert "must all hold" in ran.err


def test_a_plan_that_went_stale_is_not_approved(workspace_folder: Path) -> None:
    digest = planned()
    Path("a.csv").write_text(CSV)
    fine(*ADD, "a.csv", "--name", "new", "--no-check", "--no-dvc")
    with untouched(workspace_folder):
        assert "plan again" in refused(f"request approve R-1 {digest} --by ann")


def test_a_contained_release_answers_nobody(workspace_folder: Path) -> None:
    Workspace.open().ledger.append("release-contained", {"name": RELEASE, "alias": "live", "request": "R-1"})
    with untouched(workspace_folder):
        assert "is contained" in refused(f"release predict {RELEASE} shard-1", code=1)
    Path("m.yaml").write_text(f"release: {RELEASE}\nmethod: averages\nshards: [shard-1]\n")
    with untouched(workspace_folder):
        assert "is contained" in refused("train m.yaml", code=1)


def test_a_weight_file_changed_on_disk(workspace_folder: Path) -> None:
    with_weights = fine(f"release show {RELEASE} --json").json["members"][0]["component"]
    path = workspace_folder / ".disgorge" / "objects" / with_weights[:2] / with_weights
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with untouched(workspace_folder):
        assert "its bytes changed" in refused(f"release predict {RELEASE} shard-1", code=1)
        ran = run("audit")
    assert ran.code == 1
    assert "DSG002" in ran.out


def test_weights_changed_on_disk_are_trained_again_and_not_released(workspace_folder: Path) -> None:
    member = fine(f"release show {RELEASE} --json").json["members"][0]
    path = workspace_folder / ".disgorge" / "objects" / member["component"][:2] / member["component"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\x00")
    toy = toy_of("averages", 3)
    train(Workspace.open(), replace(toy, spec=replace(toy.spec, release="other")))
    assert path.read_bytes() == whole
    assert run("audit").code == 0


def test_a_shard_changed_on_disk(workspace_folder: Path) -> None:
    digest = fine("shard show shard-1 --json").json["shard"]["digest"]
    other = fine("shard show shard-2 --json").json["shard"]["digest"]
    shutil.copy(workspace_folder / "shards" / f"{other}.parquet", workspace_folder / "shards" / f"{digest}.parquet")
    ran = run("shard check")
    assert ran.code == 1
    assert ran.out.count("as recorded") == len(fine("shard list --json").json) - 1
    assert "other items than its shard" in ran.out


def test_people_edited_in_a_manifest_are_seen(workspace_folder: Path) -> None:
    """The same items under other people: a request would find none of them, or somebody else's."""
    workspace = Workspace.open(workspace_folder)
    path = workspace.manifest_path(fine("shard show shard-1 --json").json["shard"]["digest"])
    whole = path.read_bytes()
    write_manifest(path, [replace(item, subject="0" * 64) for item in read_manifest(path)])
    assert "changed on disk" in run("shard check").out
    path.write_bytes(whole)
    assert run("shard check").code == 0


def test_names_move_no_cursor(empty: Path) -> None:
    with pytest.raises(BadInput):
        recording(Workspace.open(), kind="x", name="", uses=[]).__enter__()
    Path("a.csv").write_text("key,x\n\x1b[2Jboo,1\n")
    fine(*ADD, "a.csv", "--name", "a", "--source", "\x1b[31mred\x07", "--no-check", "--no-dvc")
    for arguments in (("shard", "list"), ("shard", "show", "a"), ("trace", "\x1b[2Jboo"), ("audit",)):
        assert "\x1b" not in run(*arguments).out
