"""Switching DAG files to Tradewind's operators."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from adopting import AMAZON, CALL, OURS, SQL, TYPED, Adopt
from tradewind.cli import main

# ------------------------------------------------------------------------------------------ imports


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{SQL}  # kept\n", f"{OURS}  # kept\n"),
        (f"{SQL} as Export\nSqlToS3Operator = Export\n", None),
        (
            f"try:\n    {SQL}\nfinally:\n    pass\n",
            f"try:\n    {OURS}\nfinally:\n    pass\n",
        ),
        (f"if True: {SQL}\n", f"if True: {OURS}\n"),
        (f"import os; {SQL}; import sys\n", f"import os; {OURS}; import sys\n"),
        (
            f"if TYPE_CHECKING:\n    {SQL}\n{SQL}\n{TYPED}",
            f"if TYPE_CHECKING:\n    {OURS}\n{OURS}\n{TYPED}",
        ),
        (
            f"from {AMAZON}.transfers.sql_to_s3 import (\n    SqlToS3Operator,  # one\n)\n",
            "from tradewind.airflow import (\n    SqlToS3Operator,  # one\n)\n",
        ),
        (
            f"from {AMAZON}.transfers.sql_to_s3 import \\\n  SqlToS3Operator\n",
            "from tradewind.airflow import \\\n  SqlToS3Operator\n",
        ),
    ],
)
def test_an_import_is_switched_and_all_else_stays(adopt: Adopt, before: str, after: str | None):
    odd = f"\n\n\nx  =  {{ 'a' :1,}}\t# odd\n{CALL.format('   , replace = True,')}\n"
    found, reasons = adopt.switch(before + odd)
    assert found == (before if after is None else after) + odd
    assert bool(reasons) == (after is None)


COPY = 'S3CopyObjectOperator(task_id="t", source_bucket_key="a", dest_bucket_key="b")\n'
S3 = f"from {AMAZON}.operators.s3 import"
COPY_OURS = "from tradewind.airflow import S3CopyObjectOperator"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{S3} S3CopyObjectOperator, S3ListOperator", f"{S3} S3ListOperator\n{COPY_OURS}"),
        (f"{S3} S3ListOperator, S3CopyObjectOperator", f"{S3} S3ListOperator\n{COPY_OURS}"),
        (f"{S3} (S3ListOperator, S3CopyObjectOperator,)", f"{S3} (S3ListOperator,)\n{COPY_OURS}"),
        (
            f"{S3} (  # all\n    S3ListOperator,  # list\n    S3CopyObjectOperator,  # copy\n"
            ")  # end",
            f"{S3} (  # all\n    S3ListOperator,  # list\n)  # end\n{COPY_OURS}  # copy",
        ),
        (
            f"{S3} (\n    S3CopyObjectOperator,\n    # why\n    S3ListOperator,\n)",
            None,  # whose comment that is only a person can tell
        ),
        (
            f"{S3} (\n    S3ListOperator,\n    S3CopyObjectOperator  # copy\n)",
            None,
        ),
        (
            f"{S3} (  # all\n    S3ListOperator,\n    S3CopyObjectOperator\n)",
            f"{S3} (  # all\n    S3ListOperator\n)\n{COPY_OURS}",
        ),
        (f"import os; {S3} S3ListOperator, S3CopyObjectOperator", None),
        (f"if True: {S3} S3ListOperator, S3CopyObjectOperator", None),
    ],
)
def test_of_several_names_the_others_stay(adopt: Adopt, before: str, after: str | None):
    found, reasons = adopt.switch(f"{before}\n{COPY}")
    assert found == f"{after or before}\n{COPY}"
    assert bool(reasons) == (after is None)


def test_several_of_several_names_share_a_line_where_it_is_not_long(adopt: Adopt):
    jobs = ["Processing", "Training", "Transform", "Tuning"]
    names = [f"SageMaker{job}Operator" for job in jobs]
    module = f"from {AMAZON}.operators.sagemaker import"
    calls = "".join(f"    {name}(task_id='t', config=c)\n" for name in names)
    lines = "".join(f"        {name},\n" for name in names)
    found, reasons = adopt.switch(f"if x:\n    {module} (\n{lines}        Other,\n    )\n{calls}")
    ours = "    from tradewind.airflow import "
    assert reasons == []
    assert found == (
        f"if x:\n    {module} (\n        Other,\n    )\n"
        f"{ours}{names[0]}, {names[1]}\n{ours}{names[2]}, {names[3]}\n{calls}"
    )


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_bytes_stay_what_they_are(adopt: Adopt, end: str):
    text = f'# -*- coding: latin-1 -*-\n{SQL}\n# caf\xe9\nx = "\xe9"  \n\f\n{CALL.format("")}'
    text = text.replace("\n", end)
    path = adopt.write(text.encode("latin-1"))
    assert adopt.run("--write")[0] == 0
    assert path.read_bytes() == text.replace(SQL, OURS).encode("latin-1")

    text = f"\ufeff{S3} A, S3CopyObjectOperator\n# \u2028 ends no line\n{COPY}".replace("\n", end)
    path = adopt.write(text.encode())
    assert adopt.run("--write")[0] == 0
    after = text.replace(", S3CopyObjectOperator", f"{end}{COPY_OURS}", 1)
    assert path.read_bytes() == after.encode()


def test_several_imports_of_one_line_and_a_file_without_a_last_line_end(adopt: Adopt):
    ssh = "from airflow.providers.ssh.operators.ssh import ("
    text = f"x = 'é'; {SQL}; {ssh}\n  SSHOperator as S); y = 1\n{CALL.format('')}\nS(task_id='s')\n"
    found, reasons = adopt.switch(text)
    assert reasons == []
    ours = "from tradewind.airflow import (\n  SSHOperator as S); y = 1\n"
    assert found == f"x = 'é'; {OURS}; {ours}{CALL.format('')}\nS(task_id='s')\n"
    text = f"def f():\n\t{COPY}\t{S3} A, S3CopyObjectOperator # end"
    found, reasons = adopt.switch(text)
    assert found == f"def f():\n\t{COPY}\t{S3} A # end\n\t{COPY_OURS}"


def test_an_operator_of_another_name_keeps_the_name_in_the_file(adopt: Adopt):
    google = "from airflow.providers.google.cloud.transfers"
    call = 'PostgresToGCSOperator(task_id="t", sql="q", bucket="b", filename="f")\n'
    found, _ = adopt.switch(f"{google}.postgres_to_gcs import PostgresToGCSOperator\n{call}")
    assert (
        found == f"from tradewind.airflow import SqlToGCSOperator as PostgresToGCSOperator\n{call}"
    )
    call = 'M(task_id="t", sql="q", bucket="b", filename="f"{})\n'
    text = f"{google}.mysql_to_gcs import MySQLToGCSOperator as M\n" + call
    found, reasons = adopt.switch(text.format(""))
    assert found == text.format("")
    assert "mysql_conn_id= is not given" in reasons[0]
    found, _ = adopt.switch(text.format(', mysql_conn_id="m"'))
    assert found.startswith("from tradewind.airflow import SqlToGCSOperator as M\n")
    default = text.format("") + 'DAG("d", default_args=dict(mysql_conn_id="m"))\n'
    assert adopt.switch(default)[0].startswith("from tradewind.airflow")


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("class My(SqlToS3Operator): ...", "class My is made from it"),
        ("KINDS = {'sql': SqlToS3Operator}", "used as a value"),
        ("isinstance(x, SqlToS3Operator)", "used as a value"),
        ("__all__ = ['SqlToS3Operator']", "stands in a text"),
        ("def SqlToS3Operator(): ...", "bound here too"),
        ("try: ...\nexcept ImportError: SqlToS3Operator = None", "bound here too"),
        ("from mine import SqlToS3Operator", "bound here too"),
        ("from .mine import SqlToS3Operator", "bound here too"),
        ("def f(SqlToS3Operator): ...", "bound here too"),
        ("partial = SqlToS3Operator.partial", "partial is used as a value"),
        ("p = SqlToS3Operator.partial(task_id='x')", "no .expand() follows"),
        ("SqlToS3Operator.partial(task_id='x').expand_kwargs(y)", "no .expand() follows"),
        ("SqlToS3Operator('t')", "arguments without names"),
        ("SqlToS3Operator(**more)", "what ** holds"),
        (CALL.format(", unheard_of=1"), "no such parameter"),
        (CALL.format(", file_format='orc'"), "file_format='orc' is refused"),
        (CALL.format(", file_format=x"), "cannot be told"),
        (CALL.format(", pd_kwargs={'columns': ['a']}"), "columns=['a'] is refused"),
        (CALL.format(", df_kwargs=x"), "cannot be told"),
        (CALL.format(", df_kwargs={**x}"), "cannot be told"),
        (CALL.format(", groupby_kwargs={'by': 'a', 'dropna': True}"), "dropna=True is refused"),
        (CALL.format(", read_kwargs=dict(parse_dates=['a'])"), "'parse_dates' is refused"),
        ("DAG('d', default_args={'pd_kwargs': {'level': 1}})", "'level' is refused"),
    ],
)
def test_what_is_not_certain_is_left_alone_and_told(adopt: Adopt, rest: str, says: str):
    text = f"{SQL}\n{CALL.format('')}\n{rest}\n"
    found, reasons = adopt.switch(text)
    assert found == text
    assert any(says in one for one in reasons), reasons
    assert adopt.run("--check")[0] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"import {AMAZON}.transfers.sql_to_s3 as y\ny.SqlToS3Operator()", "way of its module"),
        (
            f"import {AMAZON}.transfers.sql_to_s3\n{AMAZON}.transfers.sql_to_s3.SqlToS3Operator()",
            "way of its module",
        ),
        (
            f"from {AMAZON}.transfers import sql_to_s3\nsql_to_s3.SqlToS3Operator()",
            "way of its module",
        ),
        (f"from {AMAZON}.transfers.sql_to_s3 import *\nSqlToS3Operator()", "imported by *"),
        (f"{SQL}\n", "not called here"),
        (f"load('{AMAZON}.transfers.sql_to_s3.SqlToS3Operator')", "a text"),
        ("from airflow.sdk import task as t\n@t.docker(image='i')\ndef f(): ...", "docker_job"),
        ("from airflow.decorators import task\n@task.ssh\ndef f(): ...", "ssh_job"),
        (
            "from airflow.providers.google.cloud.transfers.trino_to_gcs import TrinoToGCSOperator\n"
            "TrinoToGCSOperator(task_id='t')",
            "by hand to SqlToGCSOperator",
        ),
        (
            "from airflow.providers.ssh.operators.ssh import SSHOperator\n"
            "SSHOperator(task_id='t', ssh_hook=hook)",
            "give ssh_conn_id",
        ),
    ],
)
def test_other_ways_to_use_one_are_told(adopt: Adopt, text: str, says: str):
    found, reasons = adopt.switch(text)
    assert found == text
    assert any(says in one for one in reasons) or "cannot be told" in reasons[0], reasons


def test_what_stands_only_in_comments_or_is_switched_is_nothing(adopt: Adopt):
    adopt.write(f"# airflow: SqlToS3Operator\n{OURS}\n{CALL.format('')}\n")
    status, told = adopt.told("--check")
    assert (status, told["files"], told["read"]) == (0, [], 1)


# -------------------------------------------------------------------------------------------- files


def test_nothing_is_written_unless_asked(adopt: Adopt):
    path = adopt.write(f"{SQL}\n{CALL.format('')}\n")
    before = path.read_bytes()
    status, out = adopt.run()
    assert status == 0
    assert f"\n-{SQL}\n+{OURS}\n" in out
    assert "a column of row numbers" in out
    assert "retried" in out  # what differs whatever the parameters are
    assert adopt.run("--check")[0] == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_diff_can_be_applied(adopt: Adopt, end: str):
    path = adopt.write(f"{CALL.format('')}\n{SQL}{end}", "d\udcff.py")
    _, told = adopt.told()
    diff = told["files"][0]["diff"]
    assert "b/" in diff
    subprocess.run(["patch", path], input=diff.encode(), check=True, capture_output=True)
    assert path.read_text() == f"{CALL.format('')}\n{OURS}{end}"
    assert adopt.run()[0] == 0


def test_without_libcst_its_extra_is_named(
    adopt: Adopt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "libcst", None)
    assert main(["adopt", str(adopt.folder)]) == 1
    assert "pip install 'tradewind[adopt]'" in capsys.readouterr().err


def test_written_files_keep_their_mode_and_nothing_else_is_left(adopt: Adopt):
    path = adopt.write(f"{SQL}\n{CALL.format('')}\n", "deep/er/dag.py")
    path.chmod(0o640)
    assert adopt.run("--write")[0] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(path.parent) == ["dag.py"]
    assert adopt.run("--check")[0] == 0


def test_a_file_that_cannot_be_parsed_is_told_and_stays(adopt: Adopt):
    path = adopt.write(f"{SQL}\nprint 'x'\n")
    good = adopt.write(f"{SQL}\n{CALL.format('')}\n", "good.py")
    before = path.read_bytes()
    status, told = adopt.told("--write")
    assert status == 1
    assert "cannot be parsed, left as it is: line 2" in told["files"][0]["problem"]
    assert path.read_bytes() == before
    assert good.read_text().startswith(OURS)
    for broken in (b"# airflow SqlToS3Operator\n\xff", b"# airflow SqlToS3Operator\nx = '\0'\n"):
        path = adopt.write(broken)
        assert adopt.run("--write")[0] == 1
        assert path.read_bytes() == broken


def test_a_file_of_several_names_is_told_and_stays(adopt: Adopt):
    path = adopt.write(f"{SQL}\n{CALL.format('')}\n")
    os.link(path, adopt.folder / "other.txt")
    status, told = adopt.told("--write")
    assert status == 1
    assert "several names" in told["files"][0]["problem"]
    assert path.read_text().startswith(SQL)


def test_links_notebooks_archives_and_hidden_folders_are_told(adopt: Adopt, tmp_path: Path):
    outside = tmp_path / "outside.py"
    outside.write_text(f"{SQL}\n{CALL.format('')}\n")
    (adopt.folder / "link.py").symlink_to(outside)
    (adopt.folder / "loop").symlink_to(adopt.folder)
    adopt.write("{'SqlToS3Operator': 'airflow'}", "book.ipynb")
    adopt.write("", "dags.zip")
    adopt.write(SQL, ".git/x.py")
    adopt.write(SQL, "__pycache__/x.py")
    (adopt.folder / "gone.py").symlink_to(adopt.folder / "nowhere")
    status, told = adopt.told("--write")
    assert status == 0
    notes = {Path(one["path"]).name: one["note"] for one in told["files"]}
    assert set(notes) == {"link.py", "loop", "book.ipynb", "dags.zip", ".git", "gone.py"}
    assert "not followed" in notes["link.py"]
    assert "by hand" in notes["book.ipynb"]
    assert outside.read_text().startswith(SQL)


def test_what_cannot_be_read_is_told(adopt: Adopt, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(adopt.folder / "pipe.py")
    secret = adopt.write(f"{SQL}\n{CALL.format('')}\n", "secret.py")
    read = Path.read_bytes

    # As root, who runs these tests in containers, may read everything.
    def refuse(path: Path) -> bytes:
        if path == secret:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    status, told = adopt.told()
    assert status == 1
    problems = {Path(one["path"]).name: one["problem"] for one in told["files"]}
    assert problems == {
        "pipe.py": "no regular file",
        "secret.py": "cannot be read: Permission denied",
    }


def test_a_file_that_another_changes_meanwhile_is_left(
    adopt: Adopt, monkeypatch: pytest.MonkeyPatch
):
    path = adopt.write(f"{SQL}\n{CALL.format('')}\n")
    monkeypatch.setattr(os, "fsync", lambda _: path.write_text("# theirs\n"))
    status, told = adopt.told("--write")
    assert status == 1
    assert "changed by another" in told["files"][0]["problem"]
    assert path.read_text() == "# theirs\n"
    assert os.listdir(adopt.folder) == ["dag.py"]


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["adopt", str(tmp_path / "none")]) == 2
    assert "there is no" in capsys.readouterr().err
