"""The real loader's word: run, watch, compare; diagnose what a customer mails."""
