"""What is measured and shown on a machine: ``make bench`` and ``make demo``."""
