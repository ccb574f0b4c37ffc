"""``python -m docs_site`` writes the pages that are made from code, and builds the site; ``--reference``: the first."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from docs_site.build import build
from docs_site.reference import write_pages

ROOT = Path(__file__).parents[1]

write_pages(ROOT / "docs")
if "--reference" not in sys.argv[1:]:
    sys.exit(build(ROOT / "build", site_url=os.environ.get("SITE_URL", "")))
