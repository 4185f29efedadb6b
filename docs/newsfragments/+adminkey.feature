``--admin-key FILE`` names the key of an admin; the file of a key may have several, a line each; ``$stats`` is read with the key of the admin only.
