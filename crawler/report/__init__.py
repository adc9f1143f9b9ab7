"""What reports are made of: charts, numbers and the page around them. For runs and benchmarks."""
