"""A page that nobody but the bench looks at, with what it takes of the machine.

Playwright has each page of its own keep a copy of all that is fetched, which would count as the page's memory. This one
is driven by the few commands of the DevTools protocol that are needed here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psutil
from playwright.sync_api import Browser

from bench.processes import pss_mib
from bench.servers import BenchError

_SIZE = {"width": 1280, "height": 800}
_PATIENCE_SECONDS = 60.0
_PUMP_SECONDS = 0.005
_NOT_ANY_PAGE = "--top-chrome-webui"
_LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((each) => each.duration)))
  .observe({ type: "longtask", buffered: true });
"""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """MiB of the page's process: ``renderer`` with whatever it keeps until somebody needs the memory, which is decoded
    pictures and garbage; ``held`` without. ``heap``: of its scripts. ``nodes``: how many there are of them."""

    renderer: float
    held: float
    heap: float
    nodes: float


class Tab:
    """A page in a context of its own. ``cookies``: pairs of name and value for the site at ``url``."""

    def __init__(self, browser: Browser, url: str, cookies: Sequence[tuple[str, str]] = ()) -> None:
        self._browser = browser.new_browser_cdp_session()
        self._answers: dict[int, dict[str, Any]] = {}
        self._traced: list[dict[str, Any]] = []
        self._is_traced = False
        self._last = 0
        self._browser.on("Target.receivedMessageFromTarget", self._take)
        self._browser.on("Tracing.dataCollected", lambda event: self._traced.extend(event["value"]))
        self._browser.on("Tracing.tracingComplete", self._end_trace)
        context = {"browserContextId": self._browser.send("Target.createBrowserContext")["browserContextId"]}
        given = [{"name": name, "value": value, "url": url} for name, value in cookies]
        self._browser.send("Storage.setCookies", {"cookies": given, **context})
        self._target = self._browser.send("Target.createTarget", {"url": "about:blank", **_SIZE, **context})["targetId"]
        self._session = self._browser.send("Target.attachToTarget", {"targetId": self._target})["sessionId"]
        self.send("Emulation.setDeviceMetricsOverride", {**_SIZE, "deviceScaleFactor": 1, "mobile": False})
        self.send("Page.enable")
        self.send("Page.addScriptToEvaluateOnNewDocument", {"source": _LONG_TASKS})
        self.send("Performance.enable")
        self.send("Page.navigate", {"url": url})
        self.wait_for("document.readyState === 'complete'")
        self.wait_for("performance.getEntriesByName('first-contentful-paint').length > 0")

    def send(self, method: str, params: Mapping[str, object] | None = None) -> Any:
        """The answer to a command. Raises ``BenchError``."""
        self._last += 1
        number = self._last
        message = json.dumps({"id": number, "method": method, "params": dict(params or {})})
        self._browser.send("Target.sendMessageToTarget", {"message": message, "sessionId": self._session})
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while number not in self._answers:
            if time.monotonic() > give_up_at:
                raise BenchError(f"The browser does not answer {method}.")
            self._pump()
        answer = self._answers.pop(number)
        if "error" in answer:
            raise BenchError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def value(self, expression: str) -> Any:
        """Of a script's expression. Raises ``BenchError``."""
        answer = self.send("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in answer:
            raise BenchError(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while not self.value(expression):
            if time.monotonic() > give_up_at:
                raise BenchError(f"It never was so: {expression}")
            time.sleep(0.05)

    def scroll(self, pixels: int) -> None:
        """With the wheel."""
        place = {"x": 600, "y": 500, "deltaX": 0, "deltaY": pixels}
        self.send("Input.dispatchMouseEvent", {"type": "mouseWheel", **place})

    def start_trace(self) -> None:
        """Of what the threads do: no more than their tasks."""
        config = {"includedCategories": ["toplevel"], "excludedCategories": ["*"]}
        self._browser.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})

    def busiest_task_ms(self) -> float:
        """The end of the trace: the most processor time that one task of a page's main thread took."""
        self._browser.send("Tracing.end")
        while not self._is_traced:
            self._pump()
        renderers = _renderers()
        page = max(renderers, key=renderers.__getitem__, default=0)  # the browser has others, such as one to spare
        threads = {
            (each["pid"], each["tid"])
            for each in self._traced
            if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain" and each["pid"] == page
        }
        tasks = [each.get("tdur", 0) for each in self._traced if (each["pid"], each["tid"]) in threads]
        if not any(tasks):
            raise BenchError("The browser does not say how long its tasks took.")
        return float(max(tasks)) / 1000

    def held(self) -> Held:
        """What its process holds, before and after it was told that memory is short."""
        before = renderer_mib()
        metrics = {each["name"]: each["value"] for each in self.send("Performance.getMetrics")["metrics"]}
        self.send("Memory.simulatePressureNotification", {"level": "critical"})
        self.send("HeapProfiler.collectGarbage")
        time.sleep(1)
        after = renderer_mib()
        counted = {each["name"]: each["value"] for each in self.send("Performance.getMetrics")["metrics"]}
        return Held(renderer=before, held=after, heap=metrics["JSHeapUsedSize"] / 2**20, nodes=float(counted["Nodes"]))

    def close(self) -> None:
        self._browser.send("Target.closeTarget", {"targetId": self._target})
        self._browser.detach()

    def _take(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if event["sessionId"] == self._session and "id" in message:
            self._answers[message["id"]] = message

    def _end_trace(self, _: object) -> None:
        self._is_traced = True

    def _pump(self) -> None:
        """Let what has come be taken: Playwright does so while it waits for an answer."""
        time.sleep(_PUMP_SECONDS)
        self._browser.send("Browser.getVersion")


def renderer_mib() -> float:
    """The memory of the page's process (Pss)."""
    return max(_renderers().values(), default=0.0)


def _renderers() -> dict[int, float]:
    """The memory of each process that shows pages (Pss, MiB), but for the browser's own. The largest is the page's."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            arguments = process.cmdline()
        except psutil.Error:
            continue
        if "--type=renderer" in arguments and _NOT_ANY_PAGE not in arguments:
            found[process.pid] = pss_mib(process)
    return found
