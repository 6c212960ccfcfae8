"""Done: a version is copied by copy_model_version, the copy gets an alias, and the original is deleted.
Must: what the copy resolves to is found and deleted, and neither the copy nor its alias serves it afterwards.
Follows: mlflow/mlflow#15831
"""

from pathlib import Path

from tests.disgorge.test_mlflow_forget import NEW, OLD, Logged


def test_the_copy_of_a_version_that_is_gone_is_followed_to_its_files(logged: Logged, tmp_path: Path) -> None:
    for name, data in (("old", OLD), ("new", NEW)):
        folder = tmp_path / "exported" / name
        folder.mkdir(parents=True)
        (folder / "w.safetensors").write_bytes(data)
    with logged.store.client() as client:
        client.create_registered_model("prod")
        for name in ("old", "new"):
            version = client.create_model_version("prod", (tmp_path / "exported" / name).as_uri())
            client.copy_model_version(f"models:/prod/{version.version}", f"shop-{name}")
            client.set_registered_model_alias(f"shop-{name}", "champion", "1")
        client.delete_registered_model("prod")
    found = logged.search().left
    assert "MLflow model version shop-old/1 points at a file that holds it" in found
    assert any("exported/old/w.safetensors is one of the weights" in words for words in found)
    logged.delete()
    assert [path.name for path in (tmp_path / "exported").rglob("*.safetensors")] == ["w.safetensors"]
    with logged.store.client() as client:
        assert client.get_registered_model("shop-old").aliases == {}
        assert client.get_registered_model("shop-new").aliases == {"champion": 1}
    assert (logged.search().left, logged.search().unreachable) == ((), ())
