"""Take the pictures of the board and of a report that the documentation shows: board.png,
report.png, and transfers.svg, which `bimotion report --figures` writes.

    python docs/pictures/screenshots.py RUNS --corpora ROOT --report MODEL

RUNS is a folder of finished runs of the same clips, as the commands of docs/leaderboard.md make
them (`bimotion evaluate ... --output RUNS`). They may be of incomplete or synthetic data: they are
entered on a practice board, which says so. Needs Chromium.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
MAX_BYTES = 150_000


def main() -> None:
    """Make the board and the report, and take a picture of each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, help="folder of finished runs")
    parser.add_argument("--corpora", required=True, help="folder with one sub-folder a corpus")
    parser.add_argument("--report", required=True, help="folder below RUNS of the run to report on")
    parser.add_argument("--organisation", default="OpenAI", help="of models whose name has none")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        page = board(given.runs, work, given.corpora, given.organisation)
        screenshot(page, FOLDER / "board.png", (1080, 700))
        [run] = [path.parent for path in (given.runs / given.report).glob("*/result.json")]
        given_to = ("--corpora", given.corpora, "--output", work / "report")
        bimotion("report", run, "--format", "html", *given_to, "--figures", work / "figures")
        screenshot(work / "report" / "report.html", FOLDER / "report.png", (1080, 900))
        shutil.copy(work / "figures" / "transfers.svg", FOLDER / "transfers.svg")


def board(runs: Path, work: Path, corpora: str, organisation: str) -> Path:
    """Page of a practice board of all runs."""
    submissions = work / "submissions"
    for record in sorted(runs.glob("*/*/result.json")):
        is_baseline = record.parts[-3].startswith("bimotion__")
        owner = () if "__" in record.parts[-3] else ("--organisation", organisation)
        before = set(submissions.glob("*/*"))
        words = ["submit", record.parent, "--practice", "--contact", "me@lab.example"]
        bimotion(*words, *owner, "--output", submissions)
        [sent] = set(submissions.glob("*/*")) - before
        mark = ("--baseline",) if is_baseline else ()
        bimotion("leaderboard", "verify", sent, "--practice", *mark, "--corpora", corpora)
    bimotion("leaderboard", "build", submissions, "--practice", "--output", work / "site")
    return work / "site" / "index.html"


def bimotion(*words: object) -> None:
    """Run one command of this package."""
    subprocess.run([sys.executable, "-m", "bimotion", *map(str, words)], check=True)


def screenshot(page: Path, picture: Path, size: tuple[int, int]) -> None:
    """A picture of the upper part of a page, width and height in pixels."""
    browser = next(filter(None, map(shutil.which, NAMES)))
    width, height = size
    command = [browser, *FLAGS, f"--window-size={width},{height}", f"--screenshot={picture}"]
    subprocess.run([*command, page.resolve().as_uri()], check=True, stderr=subprocess.DEVNULL)
    if (found := picture.stat().st_size) > MAX_BYTES:
        raise SystemExit(f"{picture}: expected at most {MAX_BYTES} bytes, found {found}")
    print(picture, found)


if __name__ == "__main__":
    main()
