"""What a project asks of its dists: the policy file, what it accepts, its budgets, the baseline."""
