"""Tests of the build server, the pipeline and deploys."""
