"""Bring your own training: plain torch on real digits, with what it learned from on record.

Run it as ``python examples/record_plain_torch.py FOLDER``. The folder becomes a workspace, where ``disgorge trace
digits`` and ``disgorge audit`` know the component as any other. Without FOLDER it takes a temporary one.
"""

import sys
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits

from lineage.catalog.catalog import Catalog
from lineage.formats.read import from_arrays
from lineage.recording import recording
from lineage.shards.add import add_items, shard_items
from lineage.workspace import Workspace

workspace = Workspace.init(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
images, labels = load_digits(return_X_y=True)
data = {}
for name, part in (("alice", slice(0, 1200)), ("bob", slice(1200, None))):
    items = from_arrays({"image": images[part] / 16, "label": labels[part]})
    shard = add_items(workspace, items, name=name, license="BSD-3-Clause", check=False).shard
    arrays = shard_items(workspace, shard.digest)[1]
    data[name] = torch.from_numpy(arrays["image"]).float(), torch.from_numpy(arrays["label"]).long()

# Alice's digits are trained on and Bob's choose when to stop, so both shaped the weights: each is a use, with its role.
with recording(workspace, kind="classifier", name="digits", uses=[("alice", "train"), ("bob", "select")]) as component:
    torch.manual_seed(0)
    model, best = torch.nn.Linear(64, 10), 0.0
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(data["alice"][0]), data["alice"][1]).backward()
        optimizer.step()
        component.count(steps=1, examples=len(data["alice"][1]))
        accuracy = (model(data["bob"][0]).argmax(1) == data["bob"][1]).double().mean().item()
        if accuracy > best:
            best = accuracy
            component.save(model.state_dict())

with Catalog.of(workspace) as catalog:
    for row in catalog.trace("digits", up=True, down=False).rows():
        print(" ".join(row[:4]))
