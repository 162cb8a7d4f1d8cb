"""The one place that states kbroker's version."""

__version__ = "0.1.0"
