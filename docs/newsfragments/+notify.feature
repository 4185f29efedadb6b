Under systemd the server says when it serves, reads its configuration and stops, and that it is alive (``Type=notify`` with a watchdog); the unit file in the book has it, and more hardening.
