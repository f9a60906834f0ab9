"""The dashboard's server: a page of a run, and what happens to it, by server-sent events. What the page is made of comes from outside (``showing``)."""
