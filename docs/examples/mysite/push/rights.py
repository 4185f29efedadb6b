"""
What comet lets the users of the site do.
"""

from django.utils.text import slugify


def rightsOf(user):
    """
    Return what a token's claim says, and the answer to comet's question: a user reads an
    inbox of its own, and reads and writes the rooms of its groups.
    """
    names = filter(None, map(slugify, user.groups.values_list("name", flat=True)))
    rooms = [f"rooms/{name}" for name in names]
    return {"subscribe": ["inbox/{sub}", *rooms], "publish": rooms}
