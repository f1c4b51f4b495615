"""PE images as values, through pefile behind this one package."""
