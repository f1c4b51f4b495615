"""The closure: one graph from the program to every module and image that it loads, and to what is missing."""
