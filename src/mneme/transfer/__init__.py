"""Where memories go to and come from: files that hold whole cubes."""
