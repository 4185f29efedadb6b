``open = true`` and ``open-read = true`` in the table of a channel or pattern, ``[channels."chat/**"]``, open it as
``--open`` and ``--open-read`` do.
