"""Safelight: a self-hosted media generation API."""

__version__ = "0.1.0"
