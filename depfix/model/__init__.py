"""The values that the floors hand on: names, machines, images, findings, reports."""
