"""depfix: find and repair what a frozen Python program for Windows lacks. See README.md."""

__version__ = "0.1.0"
