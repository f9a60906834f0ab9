"""The app server: executes what the plan drew, with monitors; a sidecar for programs of the user's own; dependencies."""
