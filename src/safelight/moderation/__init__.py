"""What is refused before anything is held or made.

blocklist   terms and patterns of the operator's own, for every workspace or for some
endpoint    a moderation service that speaks OpenAI's ``/moderations``
"""
