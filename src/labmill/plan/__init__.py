"""Turn a checked study into jobs: settings, inputs, fingerprints."""
