"""Back-ends that turn texts into vectors, one file each; the wiring picks one."""
