"""Find anything from anywhere: the search page, the command palette behind Ctrl K, and both over REST."""
