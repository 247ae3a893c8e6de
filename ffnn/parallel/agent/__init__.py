"""The agent: a client's program on a host. It starts commands, forwards their streams, and stores data.

A program of the standard library alone (Python 3.9 or later), which is sent to the host as text and needs nothing
installed there; so its modules import nothing else of ffnn.

Its standard input is its lease: when that ends, by whatever death, or stays silent for longer than agreed, every
command is ended and the agent's folder removed.
"""
