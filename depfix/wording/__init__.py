"""What depfix says to people: texts that are English by themselves and can be said in another language."""
