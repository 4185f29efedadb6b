"""
What is installed from the wheel, tried from outside with nothing of comet's own.
"""
