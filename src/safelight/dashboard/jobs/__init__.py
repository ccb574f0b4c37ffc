"""Jobs: what was asked for, and what became of it.

pages      the list, newest first and live
refused    requests that never became a job
job        one job
timeline   what happened to it, and when
"""
