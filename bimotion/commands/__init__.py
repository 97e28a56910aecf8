"""The commands: options, one call, output. Heavy imports happen inside them, so that --help is instant."""
