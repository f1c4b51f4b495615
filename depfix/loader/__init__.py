"""The rules by which Windows finds a DLL, for each kind of load."""
