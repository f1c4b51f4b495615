"""Repair: findings -> plan over an overlay -> transaction -> undo. The only code that writes to a dist."""
