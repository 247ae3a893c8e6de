"""Hosts: how they are reached, the agent on each, and the data that has been sent there."""
