"""What works with a network: built for a study's images, and tried in every stage."""
