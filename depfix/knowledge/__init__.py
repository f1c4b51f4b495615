"""Facts about Windows and the rules of depfix, as data files with provenance and an invariant check at load."""
