"""
The servers that can be measured, each with its configuration in a folder.
"""
