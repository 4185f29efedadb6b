"""
Benchmarks of comet and its peers: C{python -m benchmarks}.
"""
