"""One suite over every adapter: what a run needs of a backend, asked of each in the same way.

vendor       what the suite needs of a backend that it can command: ``Vendor``, and what it can be made to do
scenarios    the tests, each for any vendor; a file of tests names its ``VENDORS`` and takes them all
table        the table in docs/providers/README.md, made from what the vendors say of themselves
"""
