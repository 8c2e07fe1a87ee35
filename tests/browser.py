"""A headless Chromium for tests, spoken to over the DevTools protocol (websocket-client)."""

import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path

from websocket import WebSocketTimeoutException, create_connection

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """Path of an installed Chromium."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. `events` holds what the page logged, threw or asked for since the last `open`."""

    def __init__(self, profile: Path):
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        flags += ["--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync"]
        flags += ["--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen([find(), *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file, end = profile / "DevToolsActivePort", time.monotonic() + 60
        while not (port_file.exists() and len(port_file.read_text().split()) == 2):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise RuntimeError(f"{find()} does not start (exit code {self.process.poll()})")
            time.sleep(0.1)
        port, path = port_file.read_text().split()
        self.socket = create_connection(f"ws://127.0.0.1:{port}{path}", timeout=60)
        self.numbers, self.events, self.session = itertools.count(1), [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        """Result of one command of the protocol; raises RuntimeError with the browser's message."""
        number = next(self.numbers)
        session = {"sessionId": self.session} if self.session else {}
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters, **session}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a page from disk and wait until it has loaded and is quiet."""
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        end = time.monotonic() + 60
        while self.run("document.readyState") != "complete":
            if time.monotonic() > end:
                raise RuntimeError(f"{path} does not load")
            time.sleep(0.05)
        self.quiet(0.2)

    def quiet(self, seconds: float) -> None:
        """Collect events until none has come for so long."""
        self.socket.settimeout(seconds)
        try:
            while True:
                self.events.append(json.loads(self.socket.recv()))
        except WebSocketTimeoutException:
            self.socket.settimeout(60)

    def run(self, script: str):
        """Value of a JavaScript expression in the page; raises RuntimeError where it throws."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in done:
            raise RuntimeError(f"{script}: {done['exceptionDetails'].get('exception', {}).get('description')}")
        return done["result"].get("value")

    def size(self, width: int, height: int = 900, mobile: bool = False) -> None:
        """Set the size of the window in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def key(self, key: str, code: int) -> None:
        """Press and release one key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path: Path, height: int | None = None) -> None:
        """Write a picture of the page as PNG: what is in the window, or the first `height` pixels."""
        import base64

        more = {}
        if height:
            width = self.run("innerWidth")
            more = {"clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=bool(height), **more)["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self) -> list[str]:
        """Errors and warnings of the page since it was opened, and requests that left the disk."""
        found = []
        for event in self.events:
            method, values = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(values["exceptionDetails"].get("exception", {}).get("description", "exception"))
            elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert"):
                found.append(" ".join(str(part.get("value")) for part in values["args"]))
            elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
                found.append(values["entry"]["text"])
            elif method == "Network.loadingFailed" and not values.get("canceled"):
                found.append(f"failed: {values['errorText']}")
            elif method == "Network.requestWillBeSent":
                url = values["request"]["url"]
                if not url.startswith(("file:", "data:", "about:", "blob:")):
                    found.append(f"asks the network for {url}")
        return found

    def close(self) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)
