"""What a job of user code may do while it runs: stay silent, start processes of its own, train on one node."""

from pathlib import Path

import pytest

from tests.own_code import Case, case_in

PREDICT = """
def predict(parts, items, context): ...
"""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Three shards of four rows; every row is a person's."""
    return case_in(tmp_path)


SLOW = """
import time
import numpy as np

def fit(items, parts, context):
    for step in range(25):
        time.sleep(0.1)
        if context.parameters["says"] == "progress":
            context.progress(step, 25)
        elif context.parameters["says"] == "lines":
            print("step", step)
    return {"sum": np.array(items["x"].sum())}
"""


@pytest.mark.parametrize("says", ["nothing", "progress", "lines"])
def test_a_job_that_shows_nothing_for_long_is_named_and_goes_on(case: Case, says: str) -> None:
    case.write(SLOW + PREDICT)
    told: list[str] = []
    made = case.make(case.spec(shards=["a"], parameters={"says": says}), say=told.append, silent=1.0)
    assert [component.name for component in made.components] == ["own/model/a"]
    named = [line for line in told if line.startswith("own/model/a has shown neither progress nor output for ")]
    assert bool(named) == (says == "nothing")


LOADER = """
import torch
from torch.utils.data import DataLoader, TensorDataset

def fit(items, parts, context):
    x = torch.as_tensor(items["x"].astype("float32"))
    loader = DataLoader(TensorDataset(x), batch_size=2, num_workers=2)
    return {"sum": sum(batch.sum() for (batch,) in loader)}
"""


def test_a_loader_with_processes_of_its_own_works_inside(case: Case) -> None:
    case.write(LOADER + PREDICT)
    case.make(case.spec(shards=["b"]))
    assert case.trained("own/model/b")["sum"] == 10 + 11 + 12 + 13


RANKS = """
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

def fit(items, parts, context):
    place = Path.cwd() / "x.npy"
    np.save(place, items["x"].astype("float32"))
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__, str(place)]
    subprocess.run(run, check=True)
    return {"sum": np.load(place.with_name("sum.npy"))}

if __name__ == "__main__":
    dist.init_process_group("gloo")
    mine = torch.as_tensor(np.load(sys.argv[1])[dist.get_rank()::2].sum())
    dist.all_reduce(mine)
    if dist.get_rank() == 0:
        np.save(Path(sys.argv[1]).with_name("sum.npy"), mine.numpy())
    dist.destroy_process_group()
"""


def test_torchrun_on_one_node_works_inside(case: Case) -> None:
    case.write(RANKS + PREDICT)
    case.make(case.spec(shards=["c"]))
    assert case.trained("own/model/c")["sum"] == 20 + 21 + 22 + 23
