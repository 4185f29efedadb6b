A poll on Redis is one question: where its channels begin, and what they hold, come in one answer. It was three with ``since=-N``, and two with a cursor.
