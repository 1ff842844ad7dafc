"""The pages of --metrics_listen, over HTTP."""

import time
import urllib.error
import urllib.request

CALL_SECONDS = 120


def fetch(server, path, method="GET", timeout=CALL_SECONDS):
    """Status and body of a page."""
    request = urllib.request.Request(f"http://{server.metrics_address}{path}", method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def await_page(server, path, code, timeout=CALL_SECONDS):
    """Returns when a page has this status; AssertionError if it has not in time."""
    deadline = time.monotonic() + timeout
    while (status := fetch(server, path, timeout=timeout)[0]) != code:
        if time.monotonic() > deadline:
            raise AssertionError(f"{path} is {status} and not {code} after {timeout} s")
        time.sleep(0.05)
