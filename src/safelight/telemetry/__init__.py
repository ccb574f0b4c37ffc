"""Logs and metrics, and what they may say.

logs        one line an event
exceptions  an exception in the log without its message
metrics     every metric there is, declared
observe     what the code says as it happens
"""
