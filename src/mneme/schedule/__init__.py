"""When background work is done: jobs, and the thread that runs them."""
