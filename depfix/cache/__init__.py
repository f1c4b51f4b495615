"""What depfix found before, kept between runs: a file of rows by the hash of what they were read from."""
