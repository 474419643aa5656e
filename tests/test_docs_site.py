"""The documentation's site: every page has its place, every link leads somewhere, examples run."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "scripts"))

import docs_site  # noqa: E402

#: Pages whose blocks of code a test runs, and that test.
EXECUTED = {
    "add-a-system.md": "tests/test_add_a_system.py",
    "airflow-operators.md": "tests/airflow/test_docs.py",
    "airflow-rest-jobs.md": "tests/airflow/test_rest_jobs.py",
    "airflow-sagemaker.md": "tests/airflow/test_sagemaker.py",
    "airflow-work.md": "tests/airflow/test_work_systems.py",
    "how-to.md": "tests/test_docs_site.py",
    "move.md": "tests/move/test_docs.py",
    "production.md": "tests/airflow/test_links.py",
    "values.md": "tests/values_cases.py",
    "spread.md": "tests/airflow/test_spread.py",
}

#: Pages whose blocks are not run as they stand, and why.
NOT_EXECUTED = {
    "adopt.md": "commands on a folder of the reader's; tests/commands/test_adopt.py runs them",
    "airflow-spark.md": "need a cluster; tests/airflow/test_spark_submit.py runs such DAGs",
    "bigquery.md": "need an account; tests/systems/bigquery makes such moves and jobs",
    "digits-page.md": "requests to a page that has to run; tests/pipelines/digits asks the same",
    "digits.md": "`make demo` and single tasks of it; tests/test_demo.py runs it",
    "listings.md": "`make demo-listings`, minutes long",
    "local.md": "commands that go on until they are stopped; tests/local starts each system",
    "sagemaker-local.md": "starts a service; its own distribution tests it",
}


def nav_pages(entries: list[Any]) -> list[str]:
    found: list[str] = []
    for entry in entries:
        value = entry if isinstance(entry, str) else next(iter(entry.values()))
        found += [value] if isinstance(value, str) else nav_pages(value)
    return found


@pytest.fixture(scope="module")
def nav() -> set[str]:
    return set(nav_pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))


def source_of(page: str) -> str:
    return (ROOT / docs_site.ELSEWHERE.get(page, f"docs/{page}")).read_text()


def anchors(text: str) -> set[str]:
    """What `markdown.extensions.toc` makes of headings."""
    found: set[str] = set()
    fenceless = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", fenceless, re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", plain))
    return found


def test_the_navigation_has_every_page(nav: set[str]):
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert nav == pages | set(docs_site.ELSEWHERE) | {"options.md", "cli.md"}


def test_every_link_leads_to_a_page_and_its_heading(nav: set[str]):
    wrong = []
    for page in sorted(nav - {"options.md", "cli.md"}):
        text = docs_site.site_links(source_of(page), page)
        for _, _, address in docs_site._LINK.findall(text):
            path, _, anchor = address.partition("#")
            if "://" in address:
                continue
            meant = (Path(page).parent / path).as_posix() if path else page
            if meant.endswith(".png"):
                ok = (DOCS / meant).exists()
            elif meant in ("options.md", "cli.md"):
                ok = True
            else:
                ok = meant in nav and (not anchor or anchor in anchors(source_of(meant)))
            if not ok:
                wrong.append(f"{page}: {address}")
    assert wrong == []


def test_generated_pages_say_what_the_code_says():
    systems, commands = docs_site.options_page(), docs_site.cli_page()
    assert "`postgres://`" in systems
    assert "| `connections` | `None` | " in systems or "| `connections` |" in systems
    assert "required" in systems
    for name in ("move", "show", "sweep", "adopt", "doctor", "up", "env"):
        assert f"## tradewind {name}\n" in commands
    assert "--set-from" in commands


def test_of_every_page_it_is_known_what_runs_its_examples():
    block = re.compile(r"^```(python|sh|shell|console)$", re.MULTILINE)
    pages = {path.name for path in DOCS.glob("*.md") if block.search(path.read_text())}
    assert not EXECUTED.keys() & NOT_EXECUTED.keys()
    assert pages == EXECUTED.keys() | NOT_EXECUTED.keys()
    for page, test in EXECUTED.items():
        assert page in (ROOT / test).read_text(), f"{test} knows nothing of {page}"


def test_the_programs_of_how_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(sqlite3.connect("shop.db")) as shop, shop:
        shop.execute("CREATE TABLE listings (id INTEGER, city TEXT)")
        shop.execute("INSERT INTO listings VALUES (1, 'Oslo'), (2, 'Rome')")
    programs = re.findall(r"```python\n(.*?)```", source_of("how-to.md"), re.DOTALL)
    for program in programs:
        exec(compile(program, "docs/how-to.md", "exec"), {})
    assert capsys.readouterr().out == "2\ncounting\n3\n"
    assert (tmp_path / "lake" / "listings.csv").read_text() == "id,city\n1,Oslo\n2,Rome\n"


@pytest.mark.long
def test_the_site_is_built_without_a_warning(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "api" / "move.html").read_text().count("transfer") > 3
