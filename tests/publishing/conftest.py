import pytest
from loopback_hub import LoopbackHub


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """A run's folder, of a model that has trained a step."""
    model = tiny.model(num_classes=3, class_names=["a", "b", "c"])
    model.compile(**tiny.quick)
    tiny.steps(model, tiny.images(), tiny.labels())
    folder = tmp_path_factory.mktemp("runs") / "mine"
    model.save_to_preset(
        folder,
        metadata={
            "preset": "/home/me/presets/own",
            "data": "/home/me/holidays",
            "epochs": 1,
        },
    )
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "epoch_0001.keras").write_bytes(b"state")
    (folder / "samples").mkdir()
    (folder / "command.txt").write_text("keras-lapgan train /home/me\n")
    (folder / "log.csv").write_text("epoch,d_loss\n1,0.7\n")
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub on this machine where this process is alice."""
    with LoopbackHub(
        tokens={"hf_alice": "alice", "hf_bob": "bob", "hf_reader": "alice"},
        expired=["hf_old"],
        read_only=["hf_reader"],
    ) as hub:
        hub.waits = hub.skip_waits(monkeypatch)
        hub.patch(monkeypatch, tmp_path / "home", token="hf_alice")
        yield hub
