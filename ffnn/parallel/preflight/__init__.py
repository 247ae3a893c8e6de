"""A look at hosts before the first task: whether they would compute what this machine would."""
