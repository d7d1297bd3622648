"""ASTM E1381 (frames) and E1394 (records), as CLSI LIS01-A2 and LIS02-A2 continue them."""
