"""Tasks: a goal, its steps and what each waits for (TME, arXiv:2504.08525 and 2505.19436)."""
