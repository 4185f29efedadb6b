"""
What a monitoring system reads at C{/metrics}.

  - L{families}: the figures of a hub, under the names that are told
  - L{exposition}: their text, as Prometheus and OpenMetrics have it
  - L{scrape}: where it is served
"""
