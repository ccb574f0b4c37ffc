"""The site that docs/ becomes.

The pages are plain Markdown, and read well where nothing builds them: links lead from file to file, notes are quotes
(``> [!NOTE]``), and what the site shows as tabs are sections under headings. ``python -m docs_site`` writes what is
told by code, and builds the site in build/site. Another tool than Zensical would take the place of ``zensical.toml``
and of ``staging.for_zensical``.

reference  pages that are made from code: docs/reference/, and the list of decisions
http       one of them: the HTTP API, from its OpenAPI document
markdown   tables, cells and fences
staging    docs/ as the site's tool reads it
llms       llms.txt, llms-full.txt, and a Markdown file beside each page
build      all of it, in order
"""
