"""Requests to the Hub that are patient, and whose errors say what to do."""

import contextlib
import time

from keras_lapgan.utils.preset_error import PresetError

_PASSING = (408, 429, 500, 502, 503, 504)
#: Seconds before each further try; the client itself waits longer in places.
_WAITS = (1, 2, 4)


def patiently(request):
    """Calls `request` again while what it meets may pass by itself."""
    for wait in _WAITS:
        try:
            return request()
        except Exception as error:
            if not _may_pass(error):
                raise
            time.sleep(max(wait, _asked_to_wait(error)))
    return request()


def is_unreachable(error):
    """Whether the Hub could not be asked, so that the cache is all there is."""
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.errors import OfflineModeIsEnabled

    return (
        isinstance(error, (OfflineModeIsEnabled, LocalEntryNotFoundError))
        or _is_of_transport(error)
        or _may_pass(error)
    )


@contextlib.contextmanager
def hub_errors(uri, doing):
    """Turns what the Hub answers into a `PresetError` that says what to do.

    Args:
        uri: `HubUri`.
        doing: str. `"load"` or `"upload to"`.
    """
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except PresetError:
        raise
    except (OSError, RuntimeError, ValueError, HfHubHTTPError) as error:
        raise PresetError(_message(uri, doing, error)) from error
    except Exception as error:
        if not _is_of_transport(error):
            raise
        raise PresetError(_message(uri, doing, error)) from error


def _message(uri, doing, error):
    from huggingface_hub.errors import GatedRepoError
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.errors import RevisionNotFoundError
    from huggingface_hub.utils import get_token

    # Of a failed upload the cause says more.
    cause = error.__cause__ if isinstance(error, RuntimeError) else None
    error = cause or error
    said = _printable(getattr(error, "server_message", None) or "")
    status = getattr(getattr(error, "response", None), "status_code", None)
    start = f"Could not {doing} {str(uri)!r}: "
    log_in = "log in with `hf auth login`, or set HF_TOKEN"
    if isinstance(error, GatedRepoError):
        return (
            f"{start}the repository is gated. Ask for access at {uri.address}"
            f", then {log_in}."
        )
    if "expired" in said:
        return (
            f"{start}your token has expired. Make a new one in the Hub's "
            f"settings, then {log_in}."
        )
    if "invalid credentials" in said.lower():
        return (
            f"{start}the Hub does not know your token. Check HF_TOKEN, or log "
            "in anew with `hf auth login`; public repositories can be read "
            "without a token."
        )
    if isinstance(error, RevisionNotFoundError):
        return (
            f"{start}the repository has no revision "
            f"{uri.revision or 'main'!r}. See its branches and tags at "
            f"{uri.address}/tree/main."
        )
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        if get_token() is None:
            return (
                f"{start}there is no such repository, or it is private and "
                f"you have given no token. Check the name; if it is private, "
                f"{log_in}."
            )
        return (
            f"{start}there is no such repository that your token may see. "
            "Check the name, or use the token of somebody who may."
        )
    if status == 403:
        return (
            f"{start}your token may not do that. Use one that may write "
            f"there, or your own name in hf://you/name. The Hub said: "
            f"{said or 'forbidden'}"
        )
    if isinstance(error, HfHubHTTPError) and _may_pass(error):
        return f"{start}the Hub answers {status}. Try again in a while."
    if _is_of_transport(error) or isinstance(error, ConnectionError):
        return (
            f"{start}the Hub cannot be reached ({_short(error)}). Try again "
            "when there is a network; what is done already is not repeated."
        )
    return f"{start}{said or _short(error)}"


def _printable(text):
    """A server's words, without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def _short(error):
    lines = [_printable(line) for line in str(error).strip().splitlines()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def _chain(error):
    while error is not None:
        yield error
        error = error.__cause__


def _is_of_transport(error):
    """Whether the connection failed, whatever the client's HTTP library."""
    from huggingface_hub.errors import HfHubHTTPError

    http_error = HfHubHTTPError.__bases__[0]
    for one in _chain(error):
        if isinstance(one, HfHubHTTPError):
            # An answer, whatever lies below it.
            return False
        if isinstance(one, http_error):
            return True
    return False


def _may_pass(error):
    if _is_of_transport(error):
        # Nobody answers there: trying again only costs time.
        return not any("Connect" in type(one).__name__ for one in _chain(error))
    return any(
        getattr(getattr(one, "response", None), "status_code", None) in _PASSING
        for one in _chain(error)
    )


def _asked_to_wait(error):
    for one in _chain(error):
        headers = getattr(getattr(one, "response", None), "headers", {})
        seconds = headers.get("Retry-After", "")
        if seconds.isdecimal():
            return min(int(seconds), 60)
    return 0
