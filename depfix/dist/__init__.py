"""What a folder is: its files, its programs, its freezer, its Python, its machine."""
