``$stats`` counts what the backend or the application was asked, by kind and by how it ended, and what was
sent to the backend after the fact.
