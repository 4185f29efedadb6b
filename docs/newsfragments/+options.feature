A mistake on the command line is answered with the reason alone, in one line, with the option that
was probably meant; so are mistyped keys of the configuration file. ``twistd comet --version`` tells
the version of comet.
