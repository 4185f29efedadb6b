An admin sees what all nodes do: ``GET /admin/nodes``, ``/admin/channels``, ``/admin/channels/{name}`` and ``/admin/clients``. Orders of an admin are logged with the address that they came from.
