"""The commands of docs/api.md, run as they stand there, only with a made-up site's address, names and secrets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.service.made_up_site import VPG, running_api

PAGE = Path(__file__).parent.parent.parent / "docs" / "api.md"


@pytest.mark.docs
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed; the page's commands use it")
def test_the_commands_of_the_api_page_do_what_it_says(tmp_path: Path) -> None:
    """Each curl is answered 200, and both ways of signing in give what later commands use."""
    lines = [line[4:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    script = "\n".join(lines)
    with running_api(tmp_path) as api:
        for written, meant in (
            ("https://127.0.0.1:9669", str(api.http.base_url)),
            ("CA=DIR", f"CA={tmp_path}"),
            ("-u admin", "-u 'admin:pass:wörd'"),
            ("client_id=ID", "client_id=robot"),
            ("client_secret=SECRET", "client_secret=secret"),
            ("/vpgs/VPG/", f"/vpgs/{VPG}/"),
        ):
            assert written in script
            script = script.replace(written, meant)
        script = re.sub(r"(?m)^(curl .*)$", r"\1 -w '\\n%{http_code}\\n'", script)
        script += (
            '\ncurl -s --cacert $CA -H "Authorization: Bearer $TOKEN" $URL/v1/vpgs -w "\\n%{http_code}\\n" -o /dev/null'
        )
        environment = {**os.environ, "no_proxy": "*", "LC_ALL": "C.UTF-8"}
        run = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=60, check=False
        )
    codes = re.findall(r"(?m)^\d{3}$", run.stdout)
    assert codes == ["200"] * 12, run.stdout + run.stderr
