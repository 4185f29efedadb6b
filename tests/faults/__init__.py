"""
Faults, made on purpose and at random, while readers on all transports see
whether anything is lost, comes twice, or comes out of order:
C{python -m tests.faults}.
"""
