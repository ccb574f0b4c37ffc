"""Files after they are settled, until they are gone.

download    check a link, find its file; or find one by its workspace and id
thumbnails  small pictures, made when first asked for
local_file  a file where it can be read as one
verdicts    where a file comes from, and whether it has changed
files       files that may be sent, and those looked up a moment ago
expire      mark what is due, delete it, see that it is gone, record it
inventory   what is kept, for the operator, and what should be gone
receipts    what was deleted and when, signed
orphans     files without a row, rows without a file
archive     what ended long ago, out of the tables into segments in the store
segments    such a file: written and read
archives    the segments there are, one generation of them, and their proof
erase       a workspace's media, prompts, keys and name
readiness   whether database and store are there, and fit to be worked on
services    what all of them need
"""
