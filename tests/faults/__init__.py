"""
Random faults, made while publishers and readers on all transports are at work; a
checker finds messages that are lost, repeated or out of order:
C{python -m tests.faults}.
"""
