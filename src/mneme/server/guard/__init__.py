"""What stands before every door: Host and Origin, who asks, limits of size, time and rate."""
