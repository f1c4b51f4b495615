"""Environments to take files from: name -> file -> owning package. None is ever run or imported."""
