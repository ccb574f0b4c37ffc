"""Media files: what they are, what they measure, and what is made of them. Pure, synchronous, no network.

In the order in which ``deliver`` uses them:

- ``sniff``       which of the four formats a file is, by its content
- ``pictures``    how a PNG, JPEG or WebP is opened: pixel cap, no unsafe loaders, no stale cache
- ``boxes``       the form of an MP4 file, and of a manifest store
- ``clips``       how an MP4 is opened and its frames are reached
- ``measure``     the facts of a file, and the proof that it is whole
- ``blackout``    whether a file shows nothing at all
- ``convert``     a picture in the format that was asked for
- ``strip``       a picture's file without whatever is in it besides the picture
- ``remux``       the same for a clip
- ``provenance``  the C2PA manifest: signing and verifying
- ``manifest_template``  manifests made from one that the C2PA library made
- ``embedding``   where a file takes its manifest
- ``thumbnail``   a small WebP for lists and previews

Everything here blocks: call it from a thread or a process pool. The libraries release the interpreter lock.
"""
