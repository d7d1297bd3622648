"""The staff's app: commands it made offline are pushed, the documents it works on are pulled."""
