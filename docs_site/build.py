"""From docs/ to a site: staged, built by Zensical with its check of links, and told to programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from docs_site import llms, staging

CONFIGURATION = Path(__file__).with_name("zensical.toml")
_ZENSICAL = Path(sys.executable).with_name("zensical")


def build(folder: Path, *, site_url: str = "") -> int:
    """Build ``folder/site``; Zensical's exit status, which is not 0 where a link leads nowhere.

    ``site_url`` is the address that the site will have, for what needs whole addresses.
    """
    for name in ("pages", "site"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    texts = staging.stage(folder / "pages")
    configuration = folder / CONFIGURATION.name
    configuration.write_text(_with_address(CONFIGURATION.read_text(), site_url))
    done = subprocess.run(
        [_ZENSICAL, "build", "--clean", "--strict", "--config-file", configuration.name],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )
    if done.returncode == 0:
        project = tomllib.loads(CONFIGURATION.read_text())["project"]
        llms.write(folder / "site", project, texts, site_url=site_url)
    return done.returncode


def _with_address(configuration: str, site_url: str) -> str:
    return (
        configuration.replace("[project]\n", f'[project]\nsite_url = "{site_url}"\n', 1) if site_url else configuration
    )
