"""Methods: a recipe and rows in, a configured trainer out. No loop of our own where trl has one."""
