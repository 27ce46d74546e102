"""Checks report pages in a headless Chromium: browser.py SCREENSHOTS PAGE...

Opens each page at desktop and phone width, in light and dark mode. It must be drawn without an error or a dialog, make
no network requests, and not scroll horizontally. Screenshots go to the folder SCREENSHOTS. Uses the DevTools protocol
over a pipe, so Python's standard library is enough. Exit code 77 if there is no Chromium.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SIZES = {"desktop": (1280, 900, False), "phone": (360, 740, True)}
# Collects the state of the page from inside.
PROBE = """(() => {
  const root = document.scrollingElement;
  const wide = [...document.querySelectorAll('main *')].filter((node) => !node.closest('.scroll') && !node.closest('svg')
      && node.getBoundingClientRect().right > root.clientWidth + 1).map((node) => node.tagName + '.' + node.className);
  return {scrolls: root.scrollWidth > root.clientWidth, wide: wide.slice(0, 5), paths: document.querySelectorAll('.chart path').length,
          rules: Math.min(...[...document.querySelectorAll('.chart svg')].map((svg) => svg.querySelectorAll('.rule').length)),
          cut: [...document.querySelectorAll('h3 + .scroll')].filter((node) => node.scrollWidth > node.clientWidth)
              .map((node) => node.previousSibling.textContent),
          labels: [...document.querySelectorAll('.chart svg, .plot svg')].flatMap((svg) => {
              const texts = [...svg.querySelectorAll('text')];
              const words = (anchor) => texts.filter((text) => text.getAttribute('text-anchor') === anchor).map((text) => text.textContent);
              const upwards = words('end');
              return [texts.some((text) => text.getBBox().x < 0) ? 'cut off' : '',
                      new Set(upwards).size < upwards.length ? 'equal: ' + upwards : '',
                      svg.parentNode.className === 'chart' ? words('middle').filter((epoch) => epoch.includes('.')).join() : ''];
          }).filter((problem) => problem),
          broken: [...document.querySelectorAll('main th code')].filter((code) => [...code.childNodes].some((part) => {
              const range = document.createRange();
              range.selectNodeContents(part);
              return range.getClientRects().length > 1;
          })).map((code) => code.textContent),
          throughput: [...document.querySelectorAll('.tile')].map((tile) => tile.innerText.split('\\n'))
              .find(([label]) => label === 'Throughput')?.[1] ?? '',
          waits: document.querySelectorAll('.ranks .cell').length,
          footer: document.querySelector('footer')?.textContent ?? '', images: document.images.length,
          failed: document.body.innerText.includes('could not be drawn'), title: document.title,
          foreign: document.querySelectorAll('main script, main iframe, main img:not([src^="data:image/png;base64,"])').length,
          background: getComputedStyle(document.body).backgroundColor, height: root.scrollHeight};
})()"""


class Browser:
    def __init__(self, program, profile):
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        # The browser reads commands from descriptor 3 and writes answers to 4.
        shell = f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}'
        self.process = subprocess.Popen(["bash", "-c", shell, *command], pass_fds=[to_read, from_write],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.commands = os.fdopen(to_write, "wb", buffering=0)
        self.answers = os.fdopen(from_read, "rb")
        self.number = 0
        self.events = []
        self.session = None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    def receive(self):
        message = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            if not byte:
                raise SystemExit("the browser ended")
            message += byte
        return json.loads(message)

    def __call__(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        self.commands.write(json.dumps(request).encode() + b"\0")
        while True:
            message = self.receive()
            if message.get("id") == self.number:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive())

    def evaluate(self, expression):
        result = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def close(self):
        self.session = None
        self("Browser.close")
        self.process.wait(timeout=30)


def look(browser, page, size, scheme, screenshots):
    width, height, mobile = SIZES[size]
    browser("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)
    browser("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events.clear()
    browser("Page.navigate", url=page.as_uri())
    browser.wait_for("Page.loadEventFired")
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    seen = browser.evaluate(PROBE)

    problems = []
    for event in browser.events:
        what = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            url = what["request"]["url"]
            if url != page.as_uri() and not url.startswith("data:"):
                problems.append(f"asks the network for {url}")
        elif event.get("method") == "Runtime.exceptionThrown":
            problems.append(f"error: {what['exceptionDetails'].get('exception', {}).get('description')}")
        elif event.get("method") == "Log.entryAdded" and what["entry"]["level"] == "error":
            problems.append(f"error: {what['entry']['text']}")
        elif event.get("method") == "Page.javascriptDialogOpening":
            problems.append(f"opens a dialog: {what['message']}")
    if seen["scrolls"] or seen["wide"]:
        problems.append(f"scrolls sideways: {seen['wide']}")
    if seen["cut"]:
        problems.append(f"does not show at one glance: {seen['cut']}")
    if seen["paths"] and seen["rules"] < 3:
        problems.append(f"has a chart with {seen['rules']} numbers on its axis")
    if seen["labels"]:
        problems.append(f"has numbers on its axes that do not help: {seen['labels']}")
    if seen["broken"]:
        problems.append(f"breaks keys within words: {seen['broken']}")
    if "asks the network for nothing" not in seen["footer"]:
        problems.append("is not drawn to its end")
    if seen["failed"]:
        problems.append("could not draw a part")
    if seen["foreign"]:
        problems.append("holds elements that a name brought in")
    dark = sum(int(part) for part in seen["background"][4:-1].split(",")[:3]) < 3 * 128
    if dark != (scheme == "dark"):
        problems.append(f"has the background {seen['background']} in {scheme}")
    if seen["paths"]:
        box = browser.evaluate("(() => { const chart = document.querySelector('.chart svg'); chart.scrollIntoView({block: 'center'});"
                               "const b = chart.getBoundingClientRect(); return {x: b.x + b.width / 2, y: b.y + b.height / 2 }; })()")
        browser("Input.dispatchMouseEvent", type="mouseMoved", **box)
        if not browser.evaluate("document.querySelector('.tip').textContent.includes('epoch')"):
            problems.append("says nothing under the pointer")
        browser("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
        browser.evaluate("scrollTo(0, 0)")

    clip = {"x": 0, "y": 0, "width": width, "height": min(seen["height"], 8000), "scale": 1}
    png = browser("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
    (screenshots / f"{page.stem}-{size}-{scheme}.png").write_bytes(base64.b64decode(png))
    for problem in problems:
        print(f"{page.name}, {size}, {scheme}: {problem}")
    print(f"{page.name}, {size}, {scheme}: {seen['paths']} curves, {seen['waits']} waits of ranks, {seen['throughput']}, {seen['images']} images, {seen['height']} pixels high")
    return len(problems)


def main():
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit(77)
    screenshots = pathlib.Path(sys.argv[1])
    screenshots.mkdir(parents=True, exist_ok=True)
    problems = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        for page in map(pathlib.Path, sys.argv[2:]):
            for size in SIZES:
                for scheme in ("light", "dark"):
                    problems += look(browser, page.resolve(), size, scheme, screenshots)
        browser.close()
    sys.exit(1 if problems else 0)


main()
