"""What is in a dist and who it is from: the ground of size tables, licences, comparisons and SBOMs."""
