"""The agent: a client's program on a host. It starts commands, forwards their streams, and stores data.

The agent is sent to the host as text and needs only the standard library (Python 3.9 or later) there, so its modules
import nothing else of ffnn.

Its standard input is its lease: when the input ends, for whatever reason, or is silent for longer than agreed, every
command is ended and the agent's folder removed.
"""
