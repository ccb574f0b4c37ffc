"""The dashboard: pages that the server makes, below ``/dashboard``. It stands on the services that the API does.

routes      every route, who comes in, and the page for an error
entry       who may come in, by session or by a proxy's word; no request of another site's
people      whom a proxy in front may name
visit       one request: who sent it, the workspace they look at, the pages they are shown
reading     what forms and addresses carry
ways        the menu
said        what a page says after something was done
site        what all pages share; what a browser may load for them
templates   templates, and how values are written in them
assets      static files
exports     lists as files
live        one stream a tab: what moves
login       signing in and out, the workspace, the theme
overview    the first page
playground/ a request put together by hand, and its runs
snippets    one request as JSON, by curl, by clients, from the command line, by a tool

A page is a module here with its ``ROUTES``, a template, and no script of its own unless it cannot do without.
"""
