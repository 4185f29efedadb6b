What comet.js needs for tabs that share a connection is in a file of its own, ``/comet.tabs.js``, which only pages with the option ``shared`` load.
