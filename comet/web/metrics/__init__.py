"""
What a monitoring system reads at C{/metrics}.

  - L{families}: the figures of a hub, under the names that are told
  - L{processfigures}: those of the process
  - L{workerfigures}: those of the workers of one server, put together
  - L{exposition}: their text, as Prometheus and OpenMetrics have it
  - L{scrape}: where it is served
"""
