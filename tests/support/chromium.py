"""A Chromium without a screen, driven over its debugging protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

__all__ = ["CHROMIUM", "Chromium"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_PATIENCE = 30.0  # seconds


class Chromium:
    """A browser with one page.

    Parameters
    ----------
    profile : Path
        An empty folder for its files.
    """

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        self.errors: list[str] = []  # what its console shows of errors
        self._n_calls = 0
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
        self._process = subprocess.Popen(
            [CHROMIUM, *options, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = profile / "DevToolsActivePort"
        _wait(lambda: port.exists() and port.read_text().strip())
        address = f"http://127.0.0.1:{port.read_text().split()[0]}/json/new?about:blank"
        with urllib.request.urlopen(urllib.request.Request(address, method="PUT"), timeout=_PATIENCE) as reply:
            url = json.load(reply)["webSocketDebuggerUrl"]
        self._loop = IOLoop(make_current=False)
        self._socket = self._loop.run_sync(lambda: websocket_connect(url, max_message_size=2**26))
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol, and return its result."""
        self._n_calls += 1
        self._socket.write_message(json.dumps({"id": self._n_calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._loop.run_sync(self._socket.read_message, timeout=_PATIENCE))
            if message.get("id") == self._n_calls:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        is_error = (
            message.get("method") == "Runtime.exceptionThrown"
            or told.get("type") == "error"
            or told.get("entry", {}).get("level") == "error"
        )
        if is_error:
            self.errors.append(json.dumps(told)[:500])

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        reply = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression of JavaScript is true, and return its value."""
        return _wait(lambda: self.evaluate(expression))

    def resize(self, width: int, height: int = 800) -> None:
        """Set the size of the window in pixels; below 600 it is a phone's."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def open(self, url: str) -> None:
        """Show a page."""
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url)}) && document.readyState == 'complete'")

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(_PATIENCE)
        self._loop.close(all_fds=False)


def _wait(condition: Any) -> Any:
    until = time.monotonic() + _PATIENCE
    while not (value := condition()):
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)
    return value
