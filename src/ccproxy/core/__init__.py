"""The hub: the neutral vocabulary, its legal order, and what every reader and writer shares."""
