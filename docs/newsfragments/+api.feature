An application imports all public names from ``comet``, which loads a name's module when it is first used. ``CometService`` takes pairs of an endpoint, or its description, and a factory.
