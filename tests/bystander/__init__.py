"""
A second client, which asks for little while another one abuses the server: how long
it waits is measured, for each kind of abuse, edge, protocol and bus.

C{python -m tests.bystander} prints the table, in wall-clock time: it needs a quiet
machine.  The tests look at the processor time that the server uses between the
bystander's request and its answer, which other programs on the machine hardly change.

A new kind of abuse is one more entry of L{tests.bystander.abuses.ABUSES}.
"""
