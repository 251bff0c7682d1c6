"""What a program asks of its machine: files whole or not there, locks, threads, URLs, text that is safe to show."""
