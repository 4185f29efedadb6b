With ``--hook URL`` a backend decides what each client may do, such as by its sessions: comet asks it by signed requests.
