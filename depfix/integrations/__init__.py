"""Files that other tools load. Nothing else of depfix imports them, and they import nothing of depfix."""
