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
jobs        what was asked for: jobs, newest first
refused     requests that never became a job
job         one job
timeline    what happened to it, and when
keys        API keys: making, changing and revoking them
open_sessions
            who is in
webhooks    endpoints: making one, its secret, its log, test events
deliveries  one delivery with its request and answer, and sending it again
spend       what was spent, with its proof; the balance
spend_query what an address asks of it
models      the catalog, and one model of it
charts      bars by day, as SVG
playground/ a request put together by hand, and its runs
snippets    one request as JSON, by curl, by clients, from the command line, by a tool
gallery     what can still be looked at: a page of it, one by one, as a file; receipts
gallery_pages     the part of it that an address asks for
gallery_deletion  media that people delete before their time
operator    the operator's pages

A page is a module here with its ``ROUTES``, a template, and no script of its own unless it cannot do without.
"""
