"""The gallery: what can still be looked at.

pages      the routes: a page of it, one by one, as a file
query      what an address asks of it, and the page that it is given
deletion   media that people delete before their time
"""
