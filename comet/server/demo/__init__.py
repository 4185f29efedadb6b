"""
What runs beside the server with C{--demo}, for its lab page.
"""
