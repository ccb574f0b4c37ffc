"""From what a stranger names or sends to a clean reference image, in the order it happens.

gather          each of a request's images, all at once; of several errors the first in the list's order
data_url        ``data:`` URLs: strict base64, the size known before anything of that size is allocated
fetch           ``https:`` URLs, through ``safelight.outbound``, which checks every address before it connects
headers         the type by content, its pixels, one frame: from fixed offsets, in this process
decode          the pool of fenced processes
fenced_process  what runs in them, after ...
sandbox         ... limits on memory and system calls are in force, and ...
clean           ... makes the clean file: upright, sRGB, no metadata, no trailing bytes
"""
