"""What daemons ask of the Linux host: its files, mounts, programs and network."""
