"""Bad input: one clear line, the right exit code, and nothing written or lost."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lineage.errors import BadInput
from lineage.recording import recording
from lineage.storage.manifest import read_manifest, write_manifest
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import RELEASE, fine, planned, refused, run, untouched
from tests.toys import toy_of

CSV = "key,who,x\na,ann,1\nb,bob,2\n"
ADD = ("shard", "add")


def write_npz(path: str, **arrays: object) -> None:
    """Write an NPZ file."""
    np.savez(path, **arrays)  # type: ignore[arg-type] # any keyword is an array's name


def images_of_unequal_size(folder: Path) -> None:
    """Write a folder with two pictures that differ in size."""
    from PIL import Image

    folder.mkdir()
    Image.new("L", (4, 4)).save(folder / "a.png")
    Image.new("L", (5, 4)).save(folder / "b.png")


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit",), ("trace", "x"), ("train", "m.yaml"), ("shard", "list"), ("shard", "add", "x.csv", "--name", "x"),
        ("request", "list"), ("request", "execute", "R-1"), ("release", "list"), ("ledger", "verify"),
        ("policy", "explain", "R-1"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_without_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text("release: r\nmethod: averages\nshards: [a]\n")
    assert "disgorge init" in refused(*arguments, code=2)
    assert not (tmp_path / ".disgorge").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.csv", "b.csv", "--name", "both"), "--name names one shard, and 2 paths are given"),
        (("a.csv", "more/a.csv"), "a.csv and more/a.csv would both be called 'a'"),
        (("more.csv", "a.csv", "more"), "more.csv and more would both be called 'more'"),
    ],
)
def test_shards_of_which_one_name_is_told(empty: Path, arguments: tuple[str, ...], said: str) -> None:
    (empty / "more").mkdir()
    for name in ("a", "b", "more", "more/a"):
        (empty / f"{name}.csv").write_text(CSV)
    with untouched(empty):
        assert said in refused(*ADD, *arguments, "--key", "key", "--no-check", "--no-dvc", code=2)


def test_of_several_files_those_before_the_bad_one_are_recorded_and_it_can_be_said_again(empty: Path) -> None:
    for name in ("a", "c"):
        (empty / f"{name}.csv").write_text(CSV.replace("1", str(ord(name))))
    (empty / "b.csv").write_text("key,who\na\n")
    told = (*ADD, "a.csv", "b.csv", "c.csv", "--key", "key", "--no-check", "--no-dvc")
    assert "b.csv" in run(*told).err
    assert [shard["name"] for shard in fine("shard", "list", "--json").json] == ["a"]
    (empty / "b.csv").write_text(CSV)
    assert [added["new"] for added in fine(*told, "--json").json] == [False, True, True]
    assert sorted(shard["name"] for shard in fine("shard", "list", "--json").json) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shard", "show", "shard-9"), "no shard 'shard-9' is recorded; did you mean"),
        (("shard", "check", "shard-9"), "no shard 'shard-9'"),
        (("trace", "toy-averages/mean/shard-9"), "nothing named"),
        (("release", "show", "toy-average"), "no release toy-average@live; did you mean"),
        (("release", "predict", RELEASE, "shard-9"), "no shard 'shard-9'"),
        (("release", "predict", f"{RELEASE}@candidate", "shard-1"), "no release"),
        (("release", "sample", RELEASE, "--out", "x.png"), "is made to classify"),
        (("release", "sample", RELEASE, "--out", "x.gif"), "only PNG is written"),
        (("request", "show", "R-9"), "no request 'R-9'; `disgorge request list`"),
        (("request", "impact", "R-9"), "no request 'R-9'"),
        (("request", "decide", "R-9"), "no request 'R-9'"),
        (("request", "plan", "R-9"), "no request 'R-9'"),
        (("request", "approve", "R-9", "0" * 12, "--by", "ann"), "no request 'R-9'"),
        (("request", "execute", "R-9"), "no request 'R-9'"),
        (("request", "resume", "R-9"), "no request 'R-9'"),
        (("request", "deny", "R-9", "--reason", "other"), "no request 'R-9'"),
        (("request", "hold", "R-9", "--reason", "x"), "no request 'R-9'"),
        (("request", "extend", "R-9", "--reason", "x"), "no request 'R-9'"),
        (("request", "report", "R-9"), "no request 'R-9'"),
        (("policy", "explain", "R-9"), "no request 'R-9'"),
        (("policy", "test", "nowhere"), "no such folder"),
        (("ledger", "export", "--request", "R-9"), "no request 'R-9'"),
        (("audit", "--today", "tomorrow"), "invalid date 'tomorrow'"),
        (("train", "nowhere.yaml"), "cannot be read"),
        (("init",), "exists already"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_nobody_recorded(workspace_folder: Path, arguments: tuple[str, ...], said: str) -> None:
    with untouched(workspace_folder):
        assert said in refused(*arguments, code=2)


@pytest.mark.parametrize(
    ("make", "arguments", "said"),
    [
        (lambda: None, ("gone.csv",), "no such file"),
        (lambda: Path("a.txt").write_text("x"), ("a.txt",), "no known kind"),
        (lambda: Path("a.csv").write_text("key,x\n"), ("a.csv",), "at least one"),
        (lambda: Path("a.csv").write_bytes(b"key,x\ncaf\xe9,1\n"), ("a.csv",), "a.csv"),
        (lambda: Path("a.csv").write_text(CSV), ("a.csv", "--subject", "whom"), "no column 'whom'"),
        (lambda: Path("a.csv").write_text(CSV), ("a.csv", "--fields", "x,y"), "no column 'y'"),
        (lambda: Path("a.csv").write_text(CSV), ("a.csv", "--core"), "legal basis"),
        (lambda: Path("a.csv").write_text(CSV), ("a.csv", "--name", "shard-1"), "recorded with other items"),
        (lambda: Path("a.csv").write_text(CSV), ("a.csv", "--rules", "gone.json"), "gone.json"),
        (lambda: write_npz("a.npz", x=np.array([[1.0], [np.nan]])), ("a.npz",), "NaN"),
        (lambda: write_npz("a.npz", x=np.zeros((0, 3))), ("a.npz",), "at least one"),
        (lambda: Path("a.npz").write_bytes(b"PK\x03\x04 no archive"), ("a.npz",), "a.npz"),
        (lambda: Path("a.parquet").write_bytes(b"PAR1"), ("a.parquet",), "a.parquet"),
        (lambda: Path("folder").mkdir(), ("folder",), "folder"),
        (lambda: images_of_unequal_size(Path("folder")), ("folder",), "folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_files_that_cannot_be_taken_in(
    workspace_folder: Path, make: Callable[[], object], arguments: tuple[str, ...], said: str
) -> None:
    make()
    name = () if "--name" in arguments else ("--name", "new")
    with untouched(workspace_folder):
        assert said in refused(*ADD, *arguments, *name, "--no-check", "--no-dvc", code=2)


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
    fine("request", "file", "--standing", "data-subject", "--ground", "privacy", "--regime", "gdpr", "--subject", "bob",
         "--id", "R-1")  # fmt: skip
    found = fine("request", "impact", "R-1", "--json").json
    assert {change["before"]["name"]: change["removed"] for change in found["shards"]} == {"a": 2, "b": 1}
    assert found["duplicates"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --standing, --ground and --regime"),
        (("--standing", "internal", "--ground", "bias", "--regime", "quality"), "selects nothing"),
        (("--standing", "internal", "--ground", "bias", "--regime", "quality", "--shard", ""), "empty value"),
        (("--standing", "internal", "--ground", "bias", "--regime", "quality", "--key", "a\nb"), "one line"),
        (("--received", "2999-01-01"), "after today"),
        (("--received", "yesterday"), "invalid date"),
        (("--fact", "x"), "name=value"),
        (("--fact", "a=1", "--fact", "a=2"), "given twice"),
        (("--id", "../../x"), "invalid id"),
        (("--from", "request.yaml", "--id", "R-2"), "either that file or the other options"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_requests_that_are_not_well_formed(workspace_folder: Path, arguments: tuple[str, ...], said: str) -> None:
    whole = ("--standing", "internal", "--ground", "bias", "--regime", "quality", "--shard", "shard-1")
    given_already = not arguments or arguments[0] in ("--standing", "--from")
    with untouched(workspace_folder):
        assert said in refused("request", "file", *(() if given_already else whole), *arguments, code=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "a request is a mapping"),
        ("standing: nobody\nground: bias\nregime: quality\nselectors: {shard: a}\n", "standing: "),
        ("standing: internal\nground: bias\nregime: quality\nselectors: {shard: a}\nurgent: true\n", "urgent: "),
        ("standing: internal\nground: bias\nregime: quality\n", "selectors: "),
        ("standing: internal\nground: bias\nregime: quality\nselectors: {owner: a}\n", "no field 'owner'"),
        ("standing: internal\nground: bias\nregime: quality\nselectors: {shard: a}\nfacts: {x: .nan}\n", "no fact 'x'"),
        (
            "standing: internal\nground: bias\nregime: quality\nselectors: {shard: a}\nfacts: {quality_days: .nan}\n",
            "must be a whole number",
        ),
        ("standing: [", "line 1"),
    ],
)
def test_request_files_that_are_not_understood(workspace_folder: Path, text: str, said: str) -> None:
    Path("request.yaml").write_text(text)
    with untouched(workspace_folder):
        assert said in refused("request", "file", "--from", "request.yaml", code=2)


def test_selectors_that_match_nothing_are_refused_unless_they_are_to_be_answered(workspace_folder: Path) -> None:
    asked = ("request", "file", "--standing", "contributor", "--ground", "contract", "--regime", "contract", "--id",
             "R-1", "--verified", "--shard", "shard-2", "--source", "nowhere")  # fmt: skip
    with untouched(workspace_folder):
        assert "no item is selected by source 'nowhere', shard 'shard-2'; correct it" in refused(*asked, code=2)
    ran = fine(*asked, "--unmatched")
    assert ran.err.startswith("warning: nothing is selected by source 'nowhere'; the request is recorded and will be ")
    assert len(ran.err.splitlines()) == 1
    assert fine("request", "decide", "R-1", "--json").json["refusal"] == "no-match"
    with untouched(workspace_folder):
        refused("request", "plan", "R-1", code=2)


def test_selectors_that_no_item_meets_together_are_warned_of(workspace_folder: Path) -> None:
    ran = fine("request", "file", "--standing", "contributor", "--ground", "contract", "--regime", "contract",
               "--shard", "shard-2", "--key", "shard-1-0", "--unmatched")  # fmt: skip
    assert "must all hold" in ran.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pack: mine\ntitle: t\nversion: '1'\napplies: 'true'\nrules: []\n", "without a rule"),
        ("pack: mine\ntitle: t\nversion: '1'\napplies: 'true'\nrulez: []\n", "rulez: unknown field"),
        ("pack: mine\ntitle: t\nversion: '1'\napplies: '1 +'\nrules: [{id: a, when: 'true', words: w, citation: c,"
         " dated: 2026-01-01}]\n", "applies"),
    ],
)  # fmt: skip
def test_packs_that_are_not_understood(workspace_folder: Path, text: str, said: str) -> None:
    planned()
    Path("packs").mkdir()
    Path("packs/mine.yaml").write_text(text)
    with untouched(workspace_folder):
        for arguments in (
            ("request", "decide", "R-1"),
            ("policy", "list"),
            ("request", "extend", "R-1", "--reason", "x"),
        ):
            line = refused(*arguments, "--packs", "packs", code=2)
            assert said in line
            assert "packs/mine.yaml" in line


def test_an_empty_folder_of_packs_decides_nothing(workspace_folder: Path) -> None:
    planned()
    Path("packs").mkdir()
    with untouched(workspace_folder):
        assert "no pack" in refused("request", "decide", "R-1", "--packs", "packs", code=2)


def test_what_is_not_the_plans_digest_approves_nothing(workspace_folder: Path) -> None:
    digest = planned()
    with untouched(workspace_folder):
        assert "is not the digest" in refused("request", "approve", "R-1", "0" * 64, "--by", "ann", code=2)
        assert "is not the digest" in refused("request", "approve", "R-1", digest[:8], "--by", "ann", code=2)
        assert "say who approves" in refused("request", "approve", "R-1", digest, "--by", " ", code=2)


def test_a_plan_that_went_stale_is_not_approved(workspace_folder: Path) -> None:
    digest = planned()
    Path("a.csv").write_text(CSV)
    fine(*ADD, "a.csv", "--name", "new", "--no-check", "--no-dvc")
    with untouched(workspace_folder):
        assert "plan again" in refused("request", "approve", "R-1", digest, "--by", "ann", code=2)


def test_nothing_is_executed_that_was_not_approved_or_begun(workspace_folder: Path) -> None:
    digest = planned()
    with untouched(workspace_folder):
        assert "0 of 1 approvals" in refused("request", "execute", "R-1", code=2)
        assert "nothing of it was begun" in refused("request", "resume", "R-1", code=2)
        assert "no report yet" in refused("request", "report", "R-1", code=2)
    fine("request", "approve", "R-1", digest, "--by", "ann")
    fine("request", "hold", "R-1", "--reason", "litigation")
    with untouched(workspace_folder):
        assert "on hold (litigation)" in refused("request", "plan", "R-1", code=2)


def test_two_executions_at_once(workspace_folder: Path) -> None:
    fine("request", "approve", "R-1", planned(), "--by", "ann")
    Path("m.yaml").write_text(f"release: {RELEASE}\nmethod: averages\nshards: [shard-1]\n")
    with FileLock(workspace_folder / ".disgorge" / "execute.lock"), untouched(workspace_folder):
        assert "another execution or training is running" in refused("request", "execute", "R-1", code=2)
        assert "another execution or training is running" in refused("train", "m.yaml", code=2)


def test_a_contained_release_answers_nobody(workspace_folder: Path) -> None:
    Workspace.open().ledger.append("release-contained", {"name": RELEASE, "alias": "live", "request": "R-1"})
    with untouched(workspace_folder):
        assert "is contained" in refused("release", "predict", RELEASE, "shard-1", code=1)
    Path("m.yaml").write_text(f"release: {RELEASE}\nmethod: averages\nshards: [shard-1]\n")
    with untouched(workspace_folder):
        assert "is contained" in refused("train", "m.yaml", code=1)


@pytest.mark.parametrize("workers", ["0", "two", "-1", "1e3"])
def test_a_number_of_workers_that_is_none(
    workspace_folder: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("DISGORGE_WORKERS", workers)
    Path("m.yaml").write_text(f"release: {RELEASE}\nmethod: averages\nshards: [shard-1]\n")
    assert "DISGORGE_WORKERS" in refused("train", "m.yaml", code=2)


def test_a_model_of_a_method_nobody_registered(workspace_folder: Path) -> None:
    Path("m.yaml").write_text("release: r\nmethod: alchemy\nshards: [shard-1]\n")
    with untouched(workspace_folder):
        assert "no method 'alchemy' is registered" in refused("train", "m.yaml", code=2)


def test_a_weight_file_changed_on_disk(workspace_folder: Path) -> None:
    with_weights = fine("release", "show", RELEASE, "--json").json["members"][0]["component"]
    path = workspace_folder / ".disgorge" / "objects" / with_weights[:2] / with_weights
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with untouched(workspace_folder):
        assert "its bytes changed" in refused("release", "predict", RELEASE, "shard-1", code=1)
        ran = run("audit")
    assert ran.code == 1
    assert "DSG002" in ran.out


def test_weights_changed_on_disk_are_trained_again_and_not_released(workspace_folder: Path) -> None:
    member = fine("release", "show", RELEASE, "--json").json["members"][0]
    path = workspace_folder / ".disgorge" / "objects" / member["component"][:2] / member["component"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\x00")
    toy = toy_of("averages", 3).spec
    Path("other.yaml").write_text(
        f"release: other\nmethod: averages\ncore: {list(toy.core)}\nshards: {list(toy.shards)}\nseed: {toy.seed}\n"
        f"parameters: {dict(toy.parameters)}\n"
    )
    fine("train", "other.yaml")
    assert path.read_bytes() == whole
    assert run("audit").code == 0


def test_a_shard_changed_on_disk(workspace_folder: Path) -> None:
    digest = fine("shard", "show", "shard-1", "--json").json["shard"]["digest"]
    other = fine("shard", "show", "shard-2", "--json").json["shard"]["digest"]
    shutil.copy(workspace_folder / "shards" / f"{other}.parquet", workspace_folder / "shards" / f"{digest}.parquet")
    ran = run("shard", "check")
    assert ran.code == 1
    assert ran.out.count("as recorded") == len(fine("shard", "list", "--json").json) - 1
    assert "other items than its shard" in ran.out


def test_people_edited_in_a_manifest_are_seen(workspace_folder: Path) -> None:
    """The same items under other people: a request would find none of them, or somebody else's."""
    workspace = Workspace.open(workspace_folder)
    path = workspace.manifest_path(fine("shard", "show", "shard-1", "--json").json["shard"]["digest"])
    whole = path.read_bytes()
    write_manifest(path, [replace(item, subject="0" * 64) for item in read_manifest(path)])
    assert "changed on disk" in run("shard", "check").out
    path.write_bytes(whole)
    assert run("shard", "check").code == 0


@pytest.mark.parametrize("damage", ["cut", "edited", "reordered", "torn"])
def test_a_ledger_that_does_not_hold(workspace_folder: Path, damage: str) -> None:
    file = workspace_folder / ".disgorge" / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    damaged = {
        "cut": lines[:-1],
        "edited": [*lines[:3], lines[3].replace(b"shard-", b"shared"), *lines[4:]],
        "reordered": [*lines[:2], lines[3], lines[2], *lines[4:]],
        "torn": [*lines, b'{"seq": 99'],
    }[damage]
    file.write_bytes(b"".join(damaged))
    with untouched(workspace_folder):
        for arguments in (("ledger", "verify"), ("request", "list"), ("shard", "list"), ("trace", "shard-1")):
            refused(*arguments, code=1)
        assert run("audit").code == 1
    if damage == "torn":
        assert "was moved to" in fine("ledger", "verify", "--repair-torn").out
        assert file.read_bytes() == b"".join(lines)
    else:
        with untouched(workspace_folder):
            refused("ledger", "verify", "--repair-torn", code=1)


def test_a_report_that_is_none(tmp_path: Path) -> None:
    assert "gone: no such file or folder; give the zip or folder of a report" in refused(
        "verify", str(tmp_path / "gone"), code=2
    )
    assert "no.pem: no such file or folder; give the file with the public key" in refused(
        "verify", str(tmp_path), "--key", str(tmp_path / "no.pem"), code=2
    )
    assert "statement.json is missing" in refused("verify", str(tmp_path), code=1)
    assert "give --workspace with its folder" in refused("verify", str(tmp_path), "--level", "ledger", code=2)


TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["--", "--json"], "x\x1b[31m")
@given(st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_whatever_is_typed_it_is_answered_without_a_traceback(
    workspace_folder: Path, values: list[str], more: str
) -> None:
    for verb in (("shard", "show"), ("trace",), ("request", "show"), ("release", "show"), ("request", "hold")):
        ran = run(*verb, *values, f"--reason={more}")
        assert ran.code == 2
        assert "\x1b" not in ran.err


def test_a_hold_on_a_purge_says_why_and_who(workspace_folder: Path) -> None:
    for words in (("--because", " ", "--by", "ann"), ("--because", "appeal", "--by", "")):
        with untouched(workspace_folder):
            assert "say w" in refused("purge", "release", "R-1", *words, code=2)
            assert "say w" in refused("purge", "hold", "R-1", "--until", "2030-01-01", *words, code=2)


def test_names_move_no_cursor(empty: Path) -> None:
    with pytest.raises(BadInput):
        recording(Workspace.open(), kind="x", name="", uses=[]).__enter__()
    Path("a.csv").write_text("key,x\n\x1b[2Jboo,1\n")
    fine(*ADD, "a.csv", "--name", "a", "--source", "\x1b[31mred\x07", "--no-check", "--no-dvc")
    for arguments in (("shard", "list"), ("shard", "show", "a"), ("trace", "\x1b[2Jboo"), ("audit",)):
        assert "\x1b" not in run(*arguments).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("forget",), ("--loud",), ("shard", "forget"), ("audit", "--loud"), ("shard", "add"), ("request", "show"),
        ("request", "show", "R-1", "R-2"), ("request", "deny", "R-1", "--reason", "mood"),
        ("request", "execute", "R-1", "--references", "many"), ("release", "sample", "x", "--out"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_is_one_line_that_names_the_help(empty: Path, arguments: tuple[str, ...]) -> None:
    with untouched(empty):
        said = refused(*arguments, code=2)
    assert said.endswith("--help` says what there is")


@pytest.mark.parametrize(
    "arguments", [("release", "predict", RELEASE), ("shard", "show"), ("trace",), ("trace", "--subject")]
)
def test_half_a_character_names_nothing(workspace_folder: Path, arguments: tuple[str, ...]) -> None:
    with untouched(workspace_folder):
        assert "write it in UTF-8" in refused(*arguments, "a\udc80", code=2)


def test_particulars_are_text(workspace_folder: Path) -> None:
    Path("r.yaml").write_text(
        "{standing: customer, ground: privacy, regime: gdpr, selectors: {shard: shard-1}, "
        'particulars: {name: "\\ud800"}}\n'
    )
    with untouched(workspace_folder):
        assert "half a character" in refused("request", "file", "--from", "r.yaml", code=2)


def test_a_path_longer_than_there_can_be_is_wrong_use(workspace_folder: Path) -> None:
    assert "File name too long" in refused("verify", "a" * 5_000, code=2)
