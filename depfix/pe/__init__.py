"""PE images as values. Read here and not with pefile, which is too slow for each image of a large dist."""
