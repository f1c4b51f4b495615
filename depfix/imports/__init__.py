"""Python sources as values: imports, DLL directories, DLL loads; the finder of modules."""
