"""A headless Chromium driven over a pipe (the DevTools protocol), with the standard library alone."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any

PATIENCE_S = 120


class Browser:
    """One page in a browser without network.

    Args:
        program: Chromium's executable.
        profile: an empty folder.

    ``problems`` holds exceptions, console errors and violations of the page's policy.
    """

    def __init__(self, program: str, profile: Path) -> None:
        theirs, ours = os.pipe(), os.pipe()
        # The browser reads from 3 and writes to 4; both are moved out of the way of these numbers first.
        read, write = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs[0], ours[1]))
        command = f'exec "$0" "$@" 3<&{read} 4>&{write}'
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        flags += [f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND", "--force-color-profile=srgb"]
        self.process = subprocess.Popen(
            ["bash", "-c", command, program, *flags], pass_fds=(read, write), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        for end in (theirs[0], ours[1], read, write):
            os.close(end)
        self._out, self._in = os.fdopen(theirs[1], "wb", buffering=0), os.fdopen(ours[0], "rb")
        self._number, self._session, self._rest = 0, "", b""
        self._events: set[str] = set()
        self.problems: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, file: Path, width: int, height: int = 900, dark: bool = False, scripts: bool = True) -> None:
        """Loads a file into a window of a size."""
        self._call("Emulation.setScriptExecutionDisabled", value=not scripts)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self._call("Page.navigate", url=file.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._next()

    def value(self, script: str) -> Any:
        """Gives the value of an expression; of a promise, what it comes to."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Presses and releases a key."""
        code = {"ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}[key]
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """Clicks into an element at a share of its width and height."""
        at = self._place(selector, x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def wheel(self, selector: str, delta: int) -> None:
        """Turns the wheel over an element."""
        self._call("Input.dispatchMouseEvent", type="mouseWheel", deltaX=0, deltaY=delta, **self._place(selector, 0.5, 0.5))

    def screenshot(self, file: Path, whole: bool = True) -> None:
        """Saves a picture of the whole page, or of the window."""
        shot = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """Ends the browser."""
        self._number += 1
        self._out.write(json.dumps({"id": self._number, "method": "Browser.close"}).encode() + b"\0")
        self._out.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._in.close()

    def _place(self, selector: str, x: float, y: float) -> dict[str, float]:
        found = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}}); "
            "const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
        )
        return {"x": found[0] + x * found[2], "y": found[1] + y * found[3]}

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready = select.select([self._in], [], [], PATIENCE_S)[0]
            data = os.read(self._in.fileno(), 1 << 16) if ready else b""
            if not data:
                raise RuntimeError("the browser ended without an answer" if ready else f"no answer within {PATIENCE_S} s")
            self._rest += data
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        method, said = message.get("method", ""), message.get("params", {})
        self._events.add(method)
        if method == "Runtime.exceptionThrown" or (method == "Log.entryAdded" and said["entry"]["level"] == "error"):
            self.problems.append(json.dumps(said))
        return message
