"""The dashboard: pages that the server makes, below ``/dashboard``. It stands on the services that the API does.

What every page uses, in the order in which a request meets it:

routes      every route, who comes in, and the page for an error
entry       who may come in, by session or by a proxy's word; no request of another site's
people      whom a proxy in front may name
visit       one request: who sent it, the workspace they look at, the pages they are shown
reading     what forms and addresses carry
filters     what several lists are narrowed by
exports     lists as files
site        what all pages share; what a browser may load for them
templates   templates, and how values are written in them
assets      static files
menu        the menu
flash       what a page says after something was done
live        one stream a tab: what moves

The pages, in the order of the menu:

login       signing in and out, the workspace, the theme
overview    the first page
playground/ a request put together by hand, and its runs
snippets    one request as JSON, by curl, by clients, from the command line, by a tool
gallery/    what can still be looked at, and deleting it
jobs/       what was asked for, and what became of it
spend/      what was spent, with its proof; the balance
models      the catalog, and one model of it
keys/       API keys, and who is in
webhooks/   endpoints, and what was sent to them
operator/   the operator's pages

A page is a module with its ``ROUTES`` here, or a folder with ``pages`` where it has several; a template, and no script
of its own unless it cannot do without. Its templates and static files lie in folders of the same name.
"""
