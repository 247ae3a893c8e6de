"""Hosts: where they are, the agent that is kept alive on each, and the data that has crossed to it."""
