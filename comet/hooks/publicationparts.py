"""
A publication in parts, one for each of its channels.

The hooks are asked about each part alone, and may rewrite it.  What is stored is the
publication itself, unless its parts differ then; each part that is stored alone has a key
of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from comet.model.messages import Publication, Published


def sizeOf(publications: Sequence[Publication]) -> tuple[int, int]:
    """
    Return how many messages, by channel, and bytes some publications are.
    """
    channels = sum([len(each.channels) for each in publications])
    return channels, sum([len(each.payload) for each in publications])


def partsOf(publication: Publication) -> list[Publication]:
    """
    Return the parts of a publication, in the order of its channels.
    """
    if len(publication.channels) == 1:
        return [publication]
    return [evolve(publication, channels=(channel,)) for channel in publication.channels]


def piecesOf(publication: Publication, parts: Sequence[Publication]) -> Sequence[Publication]:
    """
    Return what is to be stored of a publication: the publication itself, unless its parts
    were rewritten and differ.

    @param parts: Its parts, rewritten or not.
    """
    if len(parts) == 1:
        return parts
    if all(_isSame(publication, each) for each in parts):
        return (publication,)
    return [_withOwnKey(publication, each) for each in parts]


def joined(answers: Sequence[Published]) -> Published:
    """
    Join the answers to the pieces of one publication.

    @param answers: At least one.
    """
    if len(answers) == 1:
        return answers[0]
    positions = {channel: at for each in answers for channel, at in each.positions.items()}
    return Published(answers[-1].epoch, positions)


def _isSame(publication: Publication, part: Publication) -> bool:
    """
    Tell whether a part, of one channel, is as the publication is.
    """
    return part.payload == publication.payload and (
        (part.event, part.encoding) == (publication.event, publication.encoding)
    )


def _withOwnKey(publication: Publication, part: Publication) -> Publication:
    """
    Give a part that is stored alone a key of its own, which no publisher can have: the one
    that the publisher gave is that of all its channels.
    """
    if publication.key is None:
        return part
    key = "\n".join((publication.key, *sorted(publication.channels)))
    return evolve(part, key=key, mark=publication.fingerprint())
