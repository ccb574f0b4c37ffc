"""The operator's pages: what all workspaces share, and what is done to each. Each needs the role of an operator.

workspaces   those there are, making one, its limits, its end
credit       what a workspace was given, giving more, taking back
connections  the backends: how each process finds them, what they say, what they cost
queue        what waits, what is under way, and who works on it
storage      what is kept, until when, what should be gone, and certificates
health       what a running system needs, tried; the books
audit        what people did
"""
