"""Done: before a removal a member was exported in half precision, and a mean of it with what stays.
Must: the purge refuses a certificate and names both; once they are deleted it resumes; an export of what stays remains.
Follows: daydreamlive/DEMON#299
"""

from pathlib import Path

import numpy as np
import pytest

from disgorge.errors import CertificateRefused
from lineage.storage.components import tensors_in
from lineage.storage.tensors import save_tensors
from tests import toys


def test_a_removal_resumes_when_what_was_exported_is_gone(tmp_path: Path) -> None:
    workspace = toys.trained_toy(tmp_path, method="shard_graph")
    release = toys.toy_of("shard_graph", 3).spec.release
    parts = {
        name: tensors_in(workspace.objects, digest) for name, digest in toys.bytes_by_name(workspace, release).items()
    }
    old, core = parts[f"{release}/adapter/shard-3"], parts[f"{release}/encoder"]
    exports = {
        "half": {name: tensor.astype(np.float16) for name, tensor in old.items()},
        "mean": {"wq": (old["wq"] + core["start.wq"]) / 2},
        "core": {name: tensor.astype(np.float16) for name, tensor in core.items() if tensor.dtype == np.float32},
    }
    (workspace.root / "exports").mkdir()
    for name, tensors in exports.items():
        (workspace.root / "exports" / f"{name}.safetensors").write_bytes(save_tensors(tensors))
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    for name in ("half", "mean"):
        with pytest.raises(CertificateRefused, match=rf"exports/{name}\.safetensors holds removed weights in another"):
            toys.carry(workspace)
        (workspace.root / "exports" / f"{name}.safetensors").unlink()
    assert toys.carry(workspace).verdict == "certified"
    assert (workspace.root / "exports" / "core.safetensors").is_file()
    page = (workspace.root / "reports" / "R-1" / "report.html").read_text()
    assert "compared by content" in page
    assert "only opened" in page
