"""
Readers that come and go on all transports for a long time, while others publish; then
all of them leave, and what the server holds is compared with what it held before:
C{python -m tests.soak}.
"""
