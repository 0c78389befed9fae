"""The command line: options, what is printed, and exit codes.

In: arguments and the environment. Out: a call of one function in a room below, and its result.
"""
