"""A headless Chromium with every host blocked, spoken to over a pipe: pages opened as files, scripts, screenshots."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


class Browser:
    """One page at a time. ``asked`` are addresses other than the page's own, ``complaints`` what the console said."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs, self.write = os.pipe()
        self.read, mine = os.pipe()

        def pipes():
            read, write = os.dup(theirs), os.dup(mine)
            os.dup2(read, 3)
            os.dup2(write, 4)

        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars"]
        options += ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--disable-sync"]
        options += [f"--user-data-dir={self.folder.name}", "--no-first-run", "about:blank"]
        self.process = subprocess.Popen(
            [CHROMIUM, *options],
            preexec_fn=pipes,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(mine)
        self.number, self.buffer, self.asked, self.complaints, self.loaded = 0, b"", [], [], False
        self.session = None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")
        self("Performance.enable", timeDomain="threadTicks")

    def __call__(self, method, **parameters):
        """Send a command and wait for what comes back."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (answer := self.next()).get("id") != self.number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def next(self, within=60.0):
        """The next message; events are noted."""
        end = time.monotonic() + within
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], max(end - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            self.buffer += os.read(self.read, 1 << 20)
        one, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(one)
        self.note(message.get("method", ""), message.get("params", {}))
        return message

    def note(self, event, about):
        if event == "Network.requestWillBeSent" and not about["request"]["url"].startswith(("file:", "blob:", "data:")):
            self.asked.append(about["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(about["exceptionDetails"].get("exception", about["exceptionDetails"]))
        elif event in ("Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(about)
        elif event == "Page.loadEventFired":
            self.loaded = True

    def open(self, file, width=1120, height=900, dark=False, script=True):
        """Open a page with a window of this size.

        Returns the processor time that the page took to be there (s), which does not depend on what else runs.
        """
        self.asked, self.complaints, self.loaded = [], [], False
        phone = width < 600
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self("Emulation.setDeviceMetricsOverride", **size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self("Emulation.setEmulatedMedia", features=scheme)
        self("Emulation.setScriptExecutionDisabled", value=not script)
        self("Page.navigate", url=Path(file).resolve().as_uri())
        while not self.loaded:
            self.next()
        metrics = {row["name"]: row["value"] for row in self("Performance.getMetrics")["metrics"]}
        return metrics["TaskDuration"]

    def run(self, code):
        """The value of an expression in the page; what a promise comes to."""
        found = self("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self, file, whole=False):
        """Save what is in the window (or the whole page) as PNG."""
        shot = self(
            "Page.captureScreenshot",
            format="png",
            captureBeyondViewport=whole,
            **({"clip": self.all()} if whole else {}),
        )
        Path(file).write_bytes(base64.b64decode(shot["data"]))

    def all(self):
        size = self("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def close(self):
        self.session = None
        try:
            self("Browser.close")
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(30)
        os.close(self.write)
        os.close(self.read)
        self.folder.cleanup()
