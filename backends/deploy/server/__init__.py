"""The embedded build server, the pipeline that it shares with Jenkins, and the client of a real Jenkins."""
