"""Working memory of an agent: the verb, and the object that it gives."""
