"""Object stores behind ``domain.ports.BlobStore``: a local folder, S3 and its like, Google Cloud Storage,
Azure.

store_urls  from a URL to a store
checks      which keys, prefixes and ranges every store takes
local       a folder: temporary, fsync, rename, fsync
link_notes  what a web server needs to know of the files in it, to send them by their links alone
remote      a bucket, through obstore
observed    a store whose operations are counted

Local folders and S3 (SeaweedFS) are tested for real on every change. Google Cloud Storage and Azure share
all of ``remote`` with S3, but only their construction is tested here: run ``safelight doctor`` before you
rely on them.
"""

from safelight.blobs.store_urls import open_store

__all__ = ["open_store"]
