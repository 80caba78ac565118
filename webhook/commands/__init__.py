"""One thin module per subcommand of tidewaiter."""
