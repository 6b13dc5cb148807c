"""Places for the files of blocks: a folder, a Redis server. Bytes only, no tensor library."""
