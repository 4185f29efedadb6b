"""
Measures comet beside its peers: C{python -m benchmarks}.
"""
