"""What third parties test their parts with: contract suites, fakes and strategies."""
