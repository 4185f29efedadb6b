"""
What the site tells comet, and what it answers.
"""
