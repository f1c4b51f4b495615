"""The Python API: what `import depfix` offers, and all that the command line works with. See docs/python-api.md."""
