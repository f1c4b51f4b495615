"""Tests that run on Windows alone; on Linux `test_windows.py` runs them under Wine."""
