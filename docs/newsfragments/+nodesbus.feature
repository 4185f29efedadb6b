``POST /admin/disconnect`` counts what was ended on all nodes; a bus that knows how many nodes there are provides ``INodesBus``.
