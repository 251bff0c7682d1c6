"""From the head of a ranking to people, and from their answers to a corrected data set."""
