"""How long a blind vote takes: from the key to the next item on the screen, and until the server has the vote.

    python benchmarks/votes.py [--votes 40] [--pace 0.7] [--letters 600]

Serves the app, makes a session of made-up answers, and votes on it with keys in a real Chromium: first one key at a
pace, then each as soon as the next item is shown. Prints the median, the 95th percentile and the longest, in
milliseconds. The time begins with the browser's own time of the key, and ends after the frame with the next item.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, whose files hide packages

from advisor.human import Item, VoteStore, new_session
from dataset_tools.example import Message

ROOT = Path(__file__).resolve().parents[1]
KEYS = ("ArrowLeft", "ArrowRight", "t", "ArrowLeft", "b")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SERVE = "from app.server import serve; serve(port=0, ready=lambda url: print(url, flush=True))"
WATCH = """() => {
  window.shownAfter = []; window.keptAfter = [];
  const task = () => [...document.querySelectorAll('#votes [data-task]')].find((each) => !each.hidden)?.dataset.task;
  const done = () => Number(document.querySelector('#votes [data-voting]')?.dataset.done || 0);
  let voted = done();
  document.addEventListener('keydown', (event) => {
    const before = task(), began = event.timeStamp, mine = ++voted;
    const look = (shown, kept) => requestAnimationFrame(() => {
      const showing = task() && task() !== before, keeping = done() >= mine;
      if (showing && !shown) setTimeout(() => window.shownAfter.push(performance.now() - began), 0);
      if (keeping && !kept) window.keptAfter.push(performance.now() - began);
      if (!(showing || shown) || !(keeping || kept)) look(showing || shown, keeping || kept);
    });
    look(false, false);
  }, true);
}"""


@contextmanager
def served(home: str) -> Iterator[str]:
    """The app, served from a home in a process of its own."""
    environment = {**os.environ, "FITTING_ROOM_HOME": home}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip().rsplit("/", 1)[0]
    finally:
        process.terminate()
        process.wait()


def made_session(items: int, letters: int) -> str:
    """A session of so many items, whose answers have so many letters; its id."""
    said = ("It is said that the tower was built in stone, and that nobody knows who paid for it. " * 99)[:letters]
    rows = [
        Item((Message("user", f"Tell me of tower number {number}."),), (f"{number} {said}", f"No, {number} {said}"))
        for number in range(items)
    ]
    with VoteStore.open() as store:
        return store.add(new_session(("one", "other"), rows)).id


def told(name: str, times: Sequence[float]) -> str:
    """A line of the result."""
    ranked = sorted(times)
    late = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]
    return (
        f"{name:<44} median {statistics.median(ranked):5.0f} ms, 95% within {late:5.0f} ms, "
        f"longest {ranked[-1]:5.0f} ms ({len(ranked)} votes)"
    )


def vote(page: Any, count: int, pace: float) -> tuple[list[float], list[float]]:
    """So many votes, by keys; milliseconds until the next item is shown, and until the server has the vote.

    ``pace`` is in seconds; 0 votes as soon as the next item is there.
    """
    page.evaluate(WATCH)
    for number in range(count):
        page.keyboard.press(KEYS[number % len(KEYS)])
        page.wait_for_function(f"window.shownAfter.length > {number}")
        time.sleep(pace)
    page.wait_for_function(f"window.keptAfter.length >= {count}")
    return page.evaluate("window.shownAfter"), page.evaluate("window.keptAfter")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=40, help="votes at each pace")
    parser.add_argument("--pace", type=float, default=0.7, help="seconds between two keys of the slow rater")
    parser.add_argument("--letters", type=int, default=600, help="letters of an answer")
    wish = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as home:
        os.environ["FITTING_ROOM_HOME"] = home
        session = made_session(wish.votes + 10, wish.letters)
        with served(home) as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
            for rater, pace in (("slow", wish.pace), ("fast", 0.0)):
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto(f"{address}/evaluate?session={session}&rater={rater}")
                page.locator("#votes [data-task]:visible").wait_for()
                shown, kept = vote(page, wish.votes, pace)
                how = f"a key every {pace:g} s" if pace else "a key as soon as an item is shown"
                print(told(f"{how}: next item shown", shown))
                print(told(f"{how}: vote on the disk", kept))
                page.close()
            browser.close()


if __name__ == "__main__":
    main()
